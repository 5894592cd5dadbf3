in vec3 v_world;
in vec3 v_normal;
in vec3 v_uvl;
in vec4 v_tint;
uniform sampler2DArray materials;
layout(location = 0) out vec4 out_color;
layout(location = 1) out int out_label;

const float VARIATION = 5.0;

void main() {
    vec3 view = v_world - eye.xyz;
    float distance = length(view);
    vec4 texel = texture(materials, v_uvl);
    vec4 slow = texture(materials, vec3(v_world.xy * (1.0 / 83.0), VARIATION));
    vec3 albedo = texel.rgb * texel.rgb * v_tint.rgb * (0.72 + 0.56 * slow.r);
    float lit = sunlight(v_world);
    vec3 lamps = lamplight(v_world);
    vec3 color;
#ifdef WET
    // A wet surface is darker and mirrors the sky; puddles stand where the road is low.
    float puddle = clamp((0.62 - texel.a + 0.5 * (slow.g - 0.5)) * 5.0, 0.0, 1.0) * weather.x;
    color = albedo * (1.0 - 0.45 * weather.x) * diffuse(v_normal, lit, lamps);
    float grazing = 1.0 - clamp(-view.z / distance, 0.0, 1.0);
    grazing *= grazing;
    float mirror = weather.x * grazing * grazing * (0.35 + 0.5 * puddle);
    color = mix(color, sky(max(-view.z / distance, 0.0)) + 0.35 * lamps, mirror);
#else
    color = albedo * diffuse(v_normal, lit, lamps);
#endif
    out_color = filmed(color, distance);
#ifdef PAINTED
    out_color.a = clamp(texel.a, 0.0, 1.0) * v_tint.a;
#endif
    out_label = -1;
}
