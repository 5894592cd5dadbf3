in vec3 v_world;
in vec3 v_normal;
in vec3 v_uvl;
in vec4 v_tint;
uniform sampler2DArray facades;
layout(location = 0) out vec4 out_color;
layout(location = 1) out int out_label;

void main() {
    vec3 view = v_world - eye.xyz;
    float distance = length(view);
    view /= distance;
    vec4 texel = texture(facades, vec3(v_uvl.xy, max(v_uvl.z, 0.0)));
    texel = v_uvl.z < -0.5 ? vec4(0.5, 0.5, 0.5, 0.0) : texel;
    vec3 wall = v_tint.rgb * texel.rgb * texel.rgb * 4.0;
    vec3 albedo = mix(wall, texel.rgb * texel.rgb, texel.a);
    vec3 color = albedo * diffuse(v_normal, sunlight(v_world + v_normal * 0.1), lamplight(v_world + v_normal));
    color *= 0.72 + 0.28 * min(v_world.z * 0.4, 1.0);
    // Glass mirrors the sky above the street, and the street's other side below it.
    float facing = clamp(1.0 + dot(view, v_normal), 0.0, 1.0);
    vec3 mirrored = reflect(view, v_normal);
    vec3 seen = mix(0.5 * ground_light.rgb + 0.08 * sky_light.rgb, 0.85 * sky(mirrored.z), smoothstep(0.05, 0.35, mirrored.z));
    color = mix(color, seen, texel.a * (0.18 + 0.6 * facing * facing));
#ifdef WINDOWS
    // Some windows are lit: by lot of the window's place and its building.
    ivec2 window = ivec2(floor(v_uvl.xy * 4.0));
    int hash = (window.x * 7919 + window.y * 104729 + int(v_tint.a * 255.0 + 0.5) * 1299709) & 0xffff;
    hash = (hash * 40503 + 12345) & 0xffff;
    float lot = float(hash) / 65536.0;
    vec3 warm = mix(vec3(0.85, 0.52, 0.22), vec3(0.7, 0.72, 0.7), float(hash & 15) / 15.0);
    color += warm * (texel.a * step(lot, weather.w) * 0.55);
#endif
    out_color = filmed(color, distance);
    out_label = -1;
}
