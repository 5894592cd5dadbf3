// The ground beyond everything that is built: one large square around the camera, a little lower.
out vec3 v_world;
out vec3 v_normal;
out vec3 v_uvl;
out vec4 v_tint;
in vec2 in_corner;

void main() {
    v_world = vec3(eye.xy + in_corner * 900.0, -0.06);
    v_normal = vec3(0.0, 0.0, 1.0);
    v_uvl = vec3(v_world.xy / 6.0, 2.0);
    v_tint = vec4(1.0);
    gl_Position = T_clip_world * vec4(v_world, 1.0);
}
