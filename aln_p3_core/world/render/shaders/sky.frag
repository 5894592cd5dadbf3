in vec3 v_ray;
uniform sampler2DArray materials;
layout(location = 0) out vec4 out_color;
layout(location = 1) out int out_label;

void main() {
    vec3 ray = normalize(v_ray);
    vec3 color = sky(max(ray.z, 0.0));
    // Clouds on a plane high above, thinner towards the horizon.
    vec2 place = ray.xy / (max(ray.z, 0.0) + 0.12);
    float puff = texture(materials, vec3(place * 0.11 + cloud.w, 5.0)).b * 0.7
               + texture(materials, vec3(place * 0.31 - cloud.w, 5.0)).b * 0.3;
    float cover = smoothstep(0.95 - 0.65 * cloud.w, 1.1 - 0.45 * cloud.w, puff + 0.25);
    color = mix(color, cloud.rgb, cover * clamp(ray.z * 6.0, 0.0, 1.0) * 0.85);
    float glare = max(dot(ray, sun_direction.xyz), 0.0);
    glare *= glare;
    glare *= glare;
    glare *= glare;
    float disc = smoothstep(0.9993, 0.9998, dot(ray, sun_direction.xyz));
    color += sun.rgb * (0.22 * glare * glare + 3.0 * disc * (1.0 - cover));
    out_color = filmed(color, 0.0);
    out_label = -1;
}
