// Shared by every program: the frame's light, the camera, and how a surface is lit.
// Colours are linear; pictures are written as their square root, near enough to sRGB.

layout(std140) uniform Camera {
    mat4 T_clip_world;
    vec4 eye;      // w: seconds of the episode
    vec4 ray_a;    // a pixel at clip x, y looks along ray_a + x ray_b + y ray_c
    vec4 ray_b;
    vec4 ray_c;
};

layout(std140) uniform Frame {
    mat4 T_shadow_world;
    vec4 sun_direction;
    vec4 sun;
    vec4 sky_light;
    vec4 ground_light;
    vec4 zenith;
    vec4 horizon;
    vec4 cloud;        // w: cover
    vec4 fog;          // w: density
    vec4 film;         // rgb: exposure times tint
    vec4 weather;      // wetness, rain, lamps, lit windows
    vec4 pool;         // middle x, y and 1 / side of the map of lamp light; w: is there one
};

#ifdef FRAGMENT
uniform sampler2DShadow shadow_map;
uniform sampler2D pool_map;

// 0 in shadow, 1 in the sun.
float sunlight(vec3 place) {
#ifdef SHADOWS
    vec3 p = (T_shadow_world * vec4(place, 1.0)).xyz;
    return texture(shadow_map, p);
#else
    return 1.0;
#endif
}

// Light of lamps and headlamps that falls on a place.
vec3 lamplight(vec3 place) {
#ifdef LAMPS
    return texture(pool_map, (place.xy - pool.xy) * pool.z + 0.5).rgb * (1.0 / (1.0 + 0.25 * place.z * place.z));
#else
    return vec3(0.0);
#endif
}

// Light that a matte surface sends on, per albedo.
vec3 diffuse(vec3 normal, float lit, vec3 lamps) {
    vec3 around = mix(ground_light.rgb, sky_light.rgb, 0.5 + 0.5 * normal.z);
    return around + sun.rgb * (lit * max(dot(normal, sun_direction.xyz), 0.0)) + lamps;
}

// The sky in a direction, without clouds.
vec3 sky(float up) {
    float t = clamp(up * 2.2, 0.0, 1.0);
    return mix(horizon.rgb, zenith.rgb, t * (2.0 - t));
}

// What reaches the camera after `distance` metres of haze, as the film writes it.
vec4 filmed(vec3 color, float distance) {
    float clear = 1.0 / (1.0 + distance * fog.w);
    clear *= clear;
    vec3 seen = mix(fog.rgb, color, clear) * film.rgb;
    vec3 shown = sqrt(seen * 1.6 / (seen + 0.6));
    // More contrast in the middle, as cameras have it.
    shown = mix(shown, shown * shown * (3.0 - 2.0 * shown), 0.6);
    return vec4(shown, 1.0);
}
#endif
