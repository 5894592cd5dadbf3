"""Whether this machine can render, and what to install where it cannot."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib import import_module

#: Debian and Ubuntu packages that headless rendering needs (Mesa's software rasteriser included).
SYSTEM_PACKAGES = ("libegl1", "libgl1", "libgl1-mesa-dri", "libx11-6", "libxext6", "libxrender1")
#: Least version, for drawing many meshes with one call (the shaders need 3.3).
OPENGL_VERSION = 430


@cache
def rendering_problem() -> str | None:
    """What keeps the world's cameras from rendering here and what to do about it, or None when they work."""
    try:
        import moderngl
    except ImportError:
        return 'the Python package moderngl is missing: pip install ".[world]" in the source tree'
    _load_triton()
    try:
        context = moderngl.create_context(standalone=True, backend="egl", require=OPENGL_VERSION)  # type: ignore[arg-type]
    except Exception as error:  # the loader raises whatever the missing library makes it raise
        return (
            f"no headless OpenGL {OPENGL_VERSION // 100}.{OPENGL_VERSION % 100 // 10} through EGL ({error}): "
            f"apt-get install {' '.join(SYSTEM_PACKAGES)}"
        )
    context.release()
    return None


def _load_triton() -> None:
    """Loads triton, where it is installed, before any driver of OpenGL.

    Mesa's rasteriser and triton (it comes with CUDA builds of torch, which import it on first need) each bring an LLVM.
    Mesa's symbols are visible to everything that is loaded later: a triton that comes second takes them for its own and
    crashes the process. Loaded first, it keeps to its own, and both work.
    """
    # Whatever keeps it from loading keeps it from harming, too.
    with suppress(Exception):
        import_module("triton")
