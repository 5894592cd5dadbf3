"""Whether this machine can render, and what to install where it cannot."""

from __future__ import annotations

from functools import cache

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
        return 'the Python package moderngl is missing: pip install "aln-p3-core[world]"'
    try:
        context = moderngl.create_context(standalone=True, backend="egl", require=OPENGL_VERSION)  # type: ignore[arg-type]
    except Exception as error:  # the loader raises whatever the missing library makes it raise
        return (
            f"no headless OpenGL {OPENGL_VERSION // 100}.{OPENGL_VERSION % 100 // 10} through EGL ({error}): "
            f"apt-get install {' '.join(SYSTEM_PACKAGES)}"
        )
    context.release()
    return None
