// The dark ground under a body: a square a little larger than its footprint.
in vec2 in_corner;
in vec4 in_box;     // x, y, heading, darkness
in vec2 in_half;    // half length and half width
out vec2 v_local;
flat out vec2 v_half;
out float v_dark;

const float MARGIN = 0.4;

void main() {
    vec2 local = in_corner * (in_half + MARGIN);
    float c = cos(in_box.z), s = sin(in_box.z);
    vec2 world = in_box.xy + vec2(c * local.x - s * local.y, s * local.x + c * local.y);
    v_local = local;
    v_half = in_half;
    float clear = 1.0 / (1.0 + length(eye.xy - world) * fog.w);
    v_dark = in_box.w * clear * clear;
    gl_Position = T_clip_world * vec4(world, 0.012, 1.0);
}
