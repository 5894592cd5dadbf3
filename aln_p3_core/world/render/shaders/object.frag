in vec3 v_world;
in vec3 v_cast;
in vec3 v_normal;
in vec3 v_albedo;
in vec4 v_shine;
flat in int v_label;
#ifdef LEAVES
uniform sampler2DArray materials;
#endif
layout(location = 0) out vec4 out_color;
layout(location = 1) out int out_label;

void main() {
    vec3 n = normalize(v_normal);
    vec3 view = v_world - eye.xyz;
    float distance = length(view);
    view /= distance;
    vec3 albedo = v_albedo;
#ifdef LEAVES
    // Crowns are ragged at their edges and speckled; bark (no paint) is not.
    if (v_shine.a > 0.0) {
        vec2 q = (v_world.xy + v_world.z * vec2(0.62, 0.81)) * (1.0 / 13.0);
        float leaf = texture(materials, vec3(q, 5.0)).a;
        if (leaf < 0.66 - 1.15 * clamp(-dot(n, view), 0.0, 1.0)) discard;
        albedo *= 0.35 + 1.3 * leaf;
    }
    float shine = 0.0;
#else
    float shine = v_shine.a;
#endif
    float lit = sunlight(v_cast + n * 0.06);
    // Less light reaches the lower part of a body that stands on the ground.
    float open = min(0.62 + 0.5 * v_world.z, 1.0);
    vec3 color = albedo * diffuse(n, lit, lamplight(v_world + n)) * open;
    // What a glossy surface mirrors: the sky, the street below the horizon, the sun.
    float facing = clamp(1.0 + dot(view, n), 0.0, 1.0);
    float fresnel = shine * (0.08 + 0.75 * facing * facing * facing);
    vec3 mirrored = reflect(view, n);
    vec3 seen = mirrored.z > 0.0 ? sky(mirrored.z) : ground_light.rgb;
    float spot = max(dot(mirrored, sun_direction.xyz), 0.0);
    spot *= spot;
    spot *= spot;
    spot *= spot;
    spot *= spot;
    color = mix(color, seen, fresnel) + sun.rgb * (spot * spot * shine * lit * 0.6) + v_shine.rgb;
    out_color = filmed(color, distance);
    out_label = v_label;
}
