// Actors, trees, lamps, signals: instances of meshes whose limbs swing and whose lamps shine.
in vec3 in_position;
in vec3 in_normal;
in vec4 in_color;    // sRGB; a: share of the instance's own paint
in vec2 in_pivot;    // x and z of the joint
in float in_part;
in vec4 in_place;    // x, y, z, heading
in vec4 in_shape;    // scale x, y, z; angle of the left leg
in vec4 in_paint;    // sRGB; a: bits of what is lit or shown
in vec4 in_extra;    // label; x, y to where the shadow map has it; matte 0 or glossy 1

#ifdef SHADOW_PASS
layout(std140) uniform Frame { mat4 T_shadow_world; };
#else
out vec3 v_world;
out vec3 v_cast;
out vec3 v_normal;
out vec3 v_albedo;
out vec4 v_shine;    // light of its own; a: gloss
flat out int v_label;
#endif

const int BRAKE = 1, LEFT = 2, RIGHT = 4, HEAD = 8, TAIL = 16, RIDER = 32, RED = 64, YELLOW = 128, GREEN = 256,
          STREET = 512;

void main() {
    int part = int(in_part + 0.5);
    int bits = int(in_paint.a + 0.5);
    vec3 p = in_position;
    vec3 n = in_normal;
    if (part >= 1 && part <= 4) {
        float angle = (part == 1 || part == 4) ? in_shape.w : -in_shape.w;
        float c = cos(angle), s = sin(angle);
        vec2 arm = p.xz - in_pivot;
        p.xz = in_pivot + vec2(c * arm.x + s * arm.y, c * arm.y - s * arm.x);
        n.xz = vec2(c * n.x + s * n.z, c * n.z - s * n.x);
    }
    p *= in_shape.xyz;
    bool hidden = (bits & RIDER) == 0 && (part == 10 || (part >= 1 && part <= 4));
    if (hidden) p = vec3(0.0);
    float c = cos(in_place.w), s = sin(in_place.w);
    vec3 world = in_place.xyz + vec3(c * p.x - s * p.y, s * p.x + c * p.y, p.z);
#ifdef SHADOW_PASS
    gl_Position = vec4((T_shadow_world * vec4(world, 1.0)).xyz * 2.0 - 1.0, 1.0);
#else
    v_world = world;
    v_cast = world + vec3(in_extra.yz, 0.0);
    v_normal = vec3(c * n.x - s * n.y, s * n.x + c * n.y, n.z);
    vec3 color = mix(in_color.rgb, in_paint.rgb, in_color.a);
    v_albedo = color * color;
    v_shine = vec4(0.0, 0.0, 0.0, in_extra.w * in_color.a * 0.35);
    if (part == 9) v_shine.a = 1.0;
#ifdef LEAVES
    v_shine.a = in_color.a;
#endif
    if (part == 5) v_shine.rgb = (bits & BRAKE) != 0 ? vec3(1.6, 0.05, 0.03) : (bits & TAIL) != 0 ? vec3(0.45, 0.012, 0.01) : vec3(0.0);
    if (part == 6 && (bits & LEFT) != 0 || part == 7 && (bits & RIGHT) != 0) v_shine.rgb = vec3(1.6, 0.55, 0.02);
    if (part == 8 && (bits & HEAD) != 0) v_shine.rgb = vec3(2.4, 2.3, 2.0);
    if (part == 11 && (bits & RED) != 0) v_shine.rgb = vec3(1.9, 0.07, 0.04);
    if (part == 12 && (bits & YELLOW) != 0) v_shine.rgb = vec3(1.8, 0.95, 0.04);
    if (part == 13 && (bits & GREEN) != 0) v_shine.rgb = vec3(0.04, 1.5, 0.62);
    if (part == 14 && (bits & STREET) != 0) v_shine.rgb = vec3(2.4, 1.9, 1.3);
    v_label = int(in_extra.x);
    gl_Position = T_clip_world * vec4(world, 1.0);
#endif
}
