// Static surfaces: ground, paint, walls.
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in float in_layer;
in vec4 in_tint;
#ifdef SHADOW_PASS
layout(std140) uniform Frame { mat4 T_shadow_world; };
void main() { gl_Position = vec4((T_shadow_world * vec4(in_position, 1.0)).xyz * 2.0 - 1.0, 1.0); }
#else
out vec3 v_world;
out vec3 v_normal;
out vec3 v_uvl;
out vec4 v_tint;

void main() {
    v_world = in_position;
    v_normal = in_normal;
    v_uvl = vec3(in_uv, in_layer);
    v_tint = vec4(in_tint.rgb * in_tint.rgb, in_tint.a);
    gl_Position = T_clip_world * vec4(in_position, 1.0);
}
#endif
