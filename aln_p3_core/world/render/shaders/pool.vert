// Lamp light from above: one square for each lamp or beam.
in vec2 in_corner;
in vec2 in_place;
in vec2 in_axis;
in vec2 in_size;    // half length along the axis, half width
in vec3 in_light;
in float in_kind;
uniform vec2 middle;
uniform float reach;
out vec2 v_local;   // m: from the lamp's foot; ahead of the headlamps and to the left
out vec3 v_light;
flat out float v_kind;

void main() {
    vec2 local = in_corner * in_size;
    vec2 world = in_place + local.x * in_axis + local.y * vec2(-in_axis.y, in_axis.x);
    v_local = in_kind > 0.5 ? local + vec2(in_size.x, 0.0) : local;
    v_light = in_light;
    v_kind = in_kind;
    gl_Position = vec4((world - middle) / reach, 0.0, 1.0);
}
