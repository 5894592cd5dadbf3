// Halos of lamps, as points that face the camera.
in vec3 in_place;
in float in_radius;
in vec3 in_light;
in float in_least;      // radius in pixels that it has at least
in float in_stretch;
uniform float focal;    // pixels
out vec3 v_light;
flat out float v_stretch;

void main() {
    vec3 to_eye = eye.xyz - in_place;
    float distance = length(to_eye);
    // A little nearer than the lamp, so that its own glass does not cut the halo; a streak on the road, so that
    // the road before it does not.
    float nearer = in_stretch > 1.0 ? 0.3 : min(0.25 / distance, 0.2);
    gl_Position = T_clip_world * vec4(in_place + to_eye * nearer, 1.0);
    float radius = in_radius * focal / max(distance, 0.2);
    float least = max(in_least, in_least * focal / 314.0);
    float shown = clamp(radius, least, 0.22 * focal);
    gl_PointSize = 2.0 * shown * in_stretch;
    v_stretch = in_stretch;
    float clear = 1.0 / (1.0 + distance * fog.w);
    v_light = in_light * (clear * clear * (0.45 + 0.55 * min(radius / least, 1.0)));
}
