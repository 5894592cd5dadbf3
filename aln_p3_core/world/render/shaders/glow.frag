in vec3 v_light;
flat in float v_stretch;
layout(location = 0) out vec4 out_color;

void main() {
    vec2 p = (gl_PointCoord * 2.0 - 1.0) * vec2(v_stretch, 1.0);
    float d = dot(p, p);
    if (d > 1.0) discard;
    float strength = exp(-3.5 * d) - 0.03;
    out_color = vec4(v_light * strength, 0.0);
}
