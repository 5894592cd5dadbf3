"""One OpenGL context with the programs, buffers and textures of the renderer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.errors import ConfigError
from aln_p3_core.world.render.available import OPENGL_VERSION, rendering_problem

_SHADERS = files("aln_p3_core.world.render") / "shaders"
#: Texture units by sampler name.
UNITS = {"materials": 0, "facades": 1, "shadow_map": 2, "pool_map": 3, "picture": 4, "grain": 5, "drops": 6}
#: Binding points of the uniform blocks.
_BLOCKS = {"Camera": 0, "Frame": 1}


class Graphics:
    """A headless OpenGL context, made current while it is used: `with graphics: ...`."""

    def __init__(self) -> None:
        problem = rendering_problem()
        if problem:
            raise ConfigError(f"the world's cameras cannot be rendered here: {problem}")
        self.context = moderngl.create_context(standalone=True, backend="egl", require=OPENGL_VERSION)  # type: ignore[arg-type]

    def __enter__(self) -> moderngl.Context:
        return self.context.__enter__()

    def __exit__(self, *error: object) -> None:
        self.context.__exit__(*error)

    def release(self) -> None:
        """Frees everything that was made in the context."""
        self.context.release()

    def program(self, vertex: str, fragment: str, defines: Sequence[str] = (), *, lit: bool = True) -> moderngl.Program:
        """Compiles shaders/`vertex`.vert with shaders/`fragment`.frag; samplers and blocks are bound.

        lit: with camera and light of shaders/common.glsl.
        """
        head = "#version 330\n" + "".join(f"#define {name}\n" for name in defines)
        common = _source("common.glsl") if lit else ""
        program = self.context.program(
            vertex_shader=head + common + _source(f"{vertex}.vert"),
            fragment_shader=head + "#define FRAGMENT\n" + common + _source(f"{fragment}.frag"),
        )
        for name in program:
            member = program[name]
            if isinstance(member, moderngl.UniformBlock):
                member.binding = _BLOCKS[name]
            elif isinstance(member, moderngl.Uniform) and name in UNITS:
                member.value = UNITS[name]
        return program

    def vertex_array(
        self, program: moderngl.Program, content: Sequence[tuple[Any, str, Sequence[str]]], index: Any = None
    ) -> moderngl.VertexArray:
        """Binds buffers to a program's attributes; those that it does not read are skipped over."""
        bound = []
        for buffer, layout, names in content:
            instanced = layout.endswith("/i")
            formats = layout.removesuffix("/i").split()
            known = [name in program for name in names]
            if not any(known):
                continue
            kept = " ".join(f if k else _padding(f) for f, k in zip(formats, known, strict=True))
            bound.append(
                (buffer, kept + ("/i" if instanced else ""), *(n for n, k in zip(names, known, strict=True) if k))
            )
        return self.context.vertex_array(program, bound, index_buffer=index, index_element_size=4)

    def texture_array(self, layers: NDArray[np.uint8]) -> moderngl.TextureArray:
        """A repeating, mipmapped array of textures [layers, height, width, 4]."""
        count, height, width, components = layers.shape
        texture = self.context.texture_array((width, height, count), components, np.ascontiguousarray(layers))
        texture.build_mipmaps()
        texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return texture


def _source(name: str) -> str:
    return (_SHADERS / name).read_text(encoding="utf-8")


def _padding(layout: str) -> str:
    """`4f1` (four normalised bytes) becomes `4x1`, `3f` becomes `3x4`."""
    count, kind = layout[0], layout[1:]
    return f"{count}x{1 if kind.endswith('1') else 4}"


def block(values: Mapping[str, Any]) -> bytes:
    """The bytes of a uniform block: 4x4 matrices (column by column) and vectors, padded to four numbers each."""
    rows = []
    for value in values.values():
        array = np.asarray(value, dtype=np.float32)
        if array.shape == (4, 4):
            rows.append(array.T.reshape(-1))
        else:
            rows.append(np.concatenate([array.reshape(-1), np.zeros(4 - array.size, np.float32)]))
    return np.concatenate(rows).tobytes()
