in vec2 v_local;
in vec3 v_light;
flat in float v_kind;
out vec4 out_light;

void main() {
    float strength;
    if (v_kind < 0.5) {
        // A lamp 8 m above the road.
        float r2 = dot(v_local, v_local);
        strength = max(1.0 / (1.0 + r2 / 64.0) - 0.14, 0.0) * 1.16;
        strength *= strength;
    } else {
        float ahead = v_local.x;
        float width = 0.9 + 0.17 * ahead;
        float aside = v_local.y / width;
        strength = exp(-aside * aside) * smoothstep(0.5, 5.0, ahead) * (1.0 - smoothstep(18.0, 42.0, ahead));
        strength *= 1.0 / (1.0 + ahead * ahead * 0.006);
    }
    out_light = vec4(v_light * strength, 1.0);
}
