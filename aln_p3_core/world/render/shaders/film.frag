// Lens and sensor: vignette, grain, streaks of rain, drops on the lens.
in vec2 v_corner;
uniform sampler2D picture;
uniform sampler2D grain;
uniform sampler2D drops;
uniform vec4 area;            // x, y, width, height of the camera in the picture, pixels
uniform ivec2 grain_shift;
uniform float noise;
uniform float rain;
uniform float lot;            // 0..1, another for every picture
uniform float camera_lot;     // 0..1, the camera's own
out vec4 out_color;

#ifdef RAIN
float chance(vec2 cell) { return fract(sin(dot(cell, vec2(12.9898, 78.233))) * 43758.5453); }

// Thin bright strokes of falling drops, `count` columns of them across the picture.
float streaks(vec2 place, float count, float shift) {
    place.x += 0.12 * place.y + shift;
    float column = floor(place.x * count);
    float start = chance(vec2(column, shift));
    float along = place.y * 4.0 + start * 7.0 + lot * 13.0;
    float here = chance(vec2(column, floor(along)));
    float across = abs(fract(place.x * count) - 0.5);
    float within = fract(along);
    return step(0.80, here) * smoothstep(0.5, 0.1, across) * smoothstep(0.0, 0.3, within) * smoothstep(1.0, 0.6, within);
}
#endif

void main() {
    vec2 pixel = gl_FragCoord.xy;
    vec3 color = texelFetch(picture, ivec2(pixel), 0).rgb;
#ifdef RAIN
    vec2 place = (pixel - area.xy) / area.w;
    vec4 drop = texture(drops, place * 0.9 + vec2(camera_lot, camera_lot * 7.31));
    if (drop.b > 0.02) {
        // A drop shows the scene upside down and blurred.
        vec2 seen = clamp(pixel - (drop.rg - 0.5) * area.w * 0.32, area.xy + 1.0, area.xy + area.zw - 2.0);
        vec2 scale = 1.0 / vec2(textureSize(picture, 0));
        float blur = area.w * 0.012;
        vec3 through = 0.25 * (texture(picture, (seen + vec2(blur, 0.0)) * scale).rgb
                             + texture(picture, (seen - vec2(blur, 0.0)) * scale).rgb
                             + texture(picture, (seen + vec2(0.0, blur)) * scale).rgb
                             + texture(picture, (seen - vec2(0.0, blur)) * scale).rgb);
        color = mix(color, through * 1.04, drop.b * 0.9);
    }
    float streak = streaks(place, 60.0, lot) + 0.6 * streaks(place, 110.0, lot + 0.37);
    color += rain * 0.045 * streak * (0.4 + color.g);
#endif
    color *= 1.0 - 0.07 * dot(v_corner, v_corner);
#ifdef GRAIN
    vec4 speck = texelFetch(grain, (ivec2(pixel) + grain_shift) & 255, 0) - 128.0 / 255.0;
    color += noise * (0.75 * speck.a + 0.5 * speck.rgb) * (1.15 - 0.5 * color);
#endif
    out_color = vec4(color, 1.0);
}
