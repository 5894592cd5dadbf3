in vec2 in_corner;
out vec3 v_ray;

void main() {
    v_ray = ray_a.xyz + in_corner.x * ray_b.xyz + in_corner.y * ray_c.xyz;
    gl_Position = vec4(in_corner, 1.0, 1.0);
}
