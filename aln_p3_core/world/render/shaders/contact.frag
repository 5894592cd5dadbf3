in vec2 v_local;
flat in vec2 v_half;
in float v_dark;
layout(location = 0) out vec4 out_color;
layout(location = 1) out int out_label;

void main() {
    vec2 beyond = abs(v_local) - v_half;
    float outside = length(max(beyond, 0.0)) + min(max(beyond.x, beyond.y), 0.0);
    out_color = vec4(0.0, 0.0, 0.0, v_dark * smoothstep(0.4, -0.35, outside));
    out_label = -1;
}
