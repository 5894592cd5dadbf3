"""Light, weather and sensor noise of an episode, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from zlib import crc32

import numpy as np

from aln_p3_core.geometry import FloatArray


class Condition(Enum):
    """Named light and weather."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"
    RAIN = "rain"


@dataclass(frozen=True, slots=True)
class Weather:
    """A condition and the seed of its variation (colours, place of the sun, noise)."""

    condition: Condition = Condition.DAY
    seed: int = 0


#: How often each condition is drawn: roughly the shares of nuScenes (rain about 20 %, night about 12 %).
CONDITION_SHARES = {Condition.DAY: 0.56, Condition.DUSK: 0.12, Condition.NIGHT: 0.12, Condition.RAIN: 0.20}


def draw_weather(seed: int, condition: Condition | None = None) -> Weather:
    """A weather of a seed; its condition by lot (`CONDITION_SHARES`) unless it is given."""
    if condition is None:
        rng = np.random.default_rng([seed, crc32(b"condition")])
        names = list(CONDITION_SHARES)
        condition = names[int(rng.choice(len(names), p=list(CONDITION_SHARES.values())))]
    return Weather(condition, seed)


@dataclass(frozen=True, eq=False)
class Light:
    """What the renderer needs to know of a weather. Colours are linear RGB [3]; 1 is white in the picture.

    Attributes:
        sun_direction: [3] unit vector towards the sun (at night: the moon).
        sun: light that falls straight from it.
        sky_light, ground_light: diffuse light from above and from below.
        zenith, horizon: colours of the sky. cloud: colour of clouds. cloud_cover: 0..1.
        fog: colour of the haze. fog_density: 1/m.
        exposure: factor before the tone curve.
        wetness: 0 dry .. 1 wet road. rain: 0..1 streaks and drops.
        lamps: 0..1 street lamps and headlamps. windows: share of lit windows.
        noise: standard deviation of the sensor's noise, in steps of 255.
        tint: colour balance of the camera.
    """

    sun_direction: FloatArray
    sun: FloatArray
    sky_light: FloatArray
    ground_light: FloatArray
    zenith: FloatArray
    horizon: FloatArray
    cloud: FloatArray
    cloud_cover: float
    fog: FloatArray
    fog_density: float
    exposure: float
    wetness: float
    rain: float
    lamps: float
    windows: float
    noise: float
    tint: FloatArray


def light_of(weather: Weather) -> Light:
    """The light of a weather: the same for the same weather, varied by its seed within the condition."""
    rng = np.random.default_rng([weather.seed, crc32(weather.condition.value.encode())])
    return _LIGHTS[weather.condition](rng)


def _direction(rng: np.random.Generator, low_deg: float, high_deg: float) -> FloatArray:
    """A place in the sky between two elevations."""
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.radians(rng.uniform(low_deg, high_deg))
    return np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])


def _rgb(rng: np.random.Generator, red: float, green: float, blue: float, spread: float = 0.05) -> FloatArray:
    """A colour with a seeded deviation."""
    return np.array([red, green, blue]) * rng.uniform(1 - spread, 1 + spread, 3)


def _tint(rng: np.random.Generator) -> FloatArray:
    return rng.uniform(0.97, 1.03, 3)


def _day(rng: np.random.Generator) -> Light:
    cover = float(rng.uniform(0.1, 0.9))
    direct = 1.25 - 0.65 * cover
    haze = _rgb(rng, 0.50, 0.59, 0.69)
    return Light(
        sun_direction=_direction(rng, 32, 62),
        sun=direct * _rgb(rng, 1.0, 0.94, 0.84),
        sky_light=(0.50 + 0.22 * cover) * _rgb(rng, 0.80, 0.92, 1.10),
        ground_light=0.22 * _rgb(rng, 1.0, 0.96, 0.88),
        zenith=_rgb(rng, 0.16, 0.32, 0.62, 0.15) * (1 - 0.35 * cover) + 0.22 * cover,
        horizon=haze,
        cloud=_rgb(rng, 0.86, 0.87, 0.89),
        cloud_cover=cover,
        fog=haze,
        fog_density=float(rng.uniform(0.0003, 0.0013)),
        exposure=float(rng.uniform(0.92, 1.12)),
        wetness=0.0,
        rain=0.0,
        lamps=0.0,
        windows=0.0,
        noise=float(rng.uniform(0.8, 1.6)),
        tint=_tint(rng),
    )


def _dusk(rng: np.random.Generator) -> Light:
    haze = _rgb(rng, 0.62, 0.42, 0.32, 0.12)
    return Light(
        sun_direction=_direction(rng, 7, 14),
        sun=_rgb(rng, 0.85, 0.46, 0.22, 0.12),
        sky_light=0.36 * _rgb(rng, 0.85, 0.88, 1.15),
        ground_light=0.12 * _rgb(rng, 1.0, 0.86, 0.74),
        zenith=_rgb(rng, 0.10, 0.15, 0.32, 0.15),
        horizon=haze,
        cloud=_rgb(rng, 0.70, 0.45, 0.38),
        cloud_cover=float(rng.uniform(0.2, 0.7)),
        fog=0.85 * haze,
        fog_density=float(rng.uniform(0.0005, 0.0020)),
        exposure=float(rng.uniform(1.0, 1.2)),
        wetness=0.0,
        rain=0.0,
        lamps=0.5,
        windows=0.18,
        noise=float(rng.uniform(1.5, 3.0)),
        tint=_tint(rng),
    )


def _night(rng: np.random.Generator) -> Light:
    glow = _rgb(rng, 0.045, 0.042, 0.050, 0.2)
    return Light(
        sun_direction=_direction(rng, 35, 65),
        sun=0.035 * _rgb(rng, 0.7, 0.8, 1.0),
        sky_light=0.040 * _rgb(rng, 0.80, 0.88, 1.05),
        ground_light=0.014 * _rgb(rng, 1.0, 0.9, 0.75),
        zenith=_rgb(rng, 0.006, 0.008, 0.018, 0.2),
        horizon=glow,
        cloud=1.2 * glow,
        cloud_cover=float(rng.uniform(0.1, 0.6)),
        fog=0.7 * glow,
        fog_density=float(rng.uniform(0.001, 0.004)),
        exposure=float(rng.uniform(1.5, 1.9)),
        wetness=float(rng.choice([0.0, 0.0, 0.5])),
        rain=0.0,
        lamps=1.0,
        windows=float(rng.uniform(0.2, 0.35)),
        noise=float(rng.uniform(4.0, 7.0)),
        tint=_tint(rng),
    )


def _rain(rng: np.random.Generator) -> Light:
    gray = _rgb(rng, 0.39, 0.43, 0.47, 0.08)
    return Light(
        sun_direction=_direction(rng, 50, 75),
        sun=0.10 * _rgb(rng, 1.0, 1.0, 1.0),
        sky_light=0.60 * _rgb(rng, 0.90, 0.98, 1.06),
        ground_light=0.18 * _rgb(rng, 0.95, 0.98, 1.0),
        zenith=0.62 * gray,
        horizon=gray,
        cloud=0.85 * gray,
        cloud_cover=1.0,
        fog=gray,
        fog_density=float(rng.uniform(0.0022, 0.0055)),
        exposure=float(rng.uniform(0.85, 1.05)),
        wetness=float(rng.uniform(0.8, 1.0)),
        rain=float(rng.uniform(0.4, 1.0)),
        lamps=0.35,
        windows=0.12,
        noise=float(rng.uniform(1.5, 3.0)),
        tint=_tint(rng),
    )


_LIGHTS = {Condition.DAY: _day, Condition.DUSK: _dusk, Condition.NIGHT: _night, Condition.RAIN: _rain}
