"""The passes that make a picture: shadows and lamp light of the instant, then sky, ground, walls and objects."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from aln_p3_core.geometry import FloatArray
from aln_p3_core.world.actors import make_actors
from aln_p3_core.world.assets.catalogue import MODELS
from aln_p3_core.world.city.city_map import CityMap
from aln_p3_core.world.city.scenery import Scenery
from aln_p3_core.world.render import contact, shadows
from aln_p3_core.world.render.buffers import GrowingBuffer, Indirect
from aln_p3_core.world.render.buildings import building_chunks
from aln_p3_core.world.render.camera import PlacedCamera
from aln_p3_core.world.render.chunks import SURFACE, SURFACE_FORMAT, SURFACE_NAMES, Chunks
from aln_p3_core.world.render.glow import Glow
from aln_p3_core.world.render.graphics import UNITS, Graphics, block
from aln_p3_core.world.render.ground import ground_base, ground_paint
from aln_p3_core.world.render.lamplight import POOL_REACH_M, LampLight
from aln_p3_core.world.render.objects import (
    INSTANCE_FORMAT,
    INSTANCE_NAMES,
    VERTEX_FORMAT,
    VERTEX_NAMES,
    Instances,
    actor_instances,
    join_instances,
    near_camera,
)
from aln_p3_core.world.render.options import RenderOptions
from aln_p3_core.world.render.props import Props, world_meshes
from aln_p3_core.world.render.textures import facade_textures, ground_textures
from aln_p3_core.world.state import WorldState
from aln_p3_core.world.weather import Light

#: How far surfaces, buildings, and objects (by their size in pixels too) are drawn, m.
_GROUND_REACH_M, _PAINT_REACH_M, _BUILDING_REACH_M, _OBJECT_REACH_M = 320.0, 130.0, 450.0, 260.0
#: Whatever is this near to the middle of the shadow map may throw its shadow into it, m.
_CASTER_REACH_M = 1.5 * shadows.REACH_M
_FINE_SHADOWS_M = 35.0
_EGO_MODEL = next(row for row, model in enumerate(MODELS) if model.name == "car_hatchback")


class _Surfaces:
    """Chunks of static triangles on the graphics side."""

    def __init__(self, graphics: Graphics, chunks: Chunks, program: moderngl.Program) -> None:
        self.chunks = chunks
        # An empty buffer cannot be made.
        self.buffer = graphics.context.buffer(chunks.vertices.tobytes() or bytes(SURFACE.itemsize))
        self.array = graphics.vertex_array(program, [(self.buffer, SURFACE_FORMAT, SURFACE_NAMES)])


class Passes:
    """Draws one city in one light. Everything happens in the current context."""

    def __init__(
        self, graphics: Graphics, city: CityMap, scenery: Scenery, light: Light, options: RenderOptions
    ) -> None:
        self._graphics, self._light, self._options = graphics, light, options
        context = self._context = graphics.context
        defines = [
            *(["SHADOWS"] if options.shadows else []),
            *(["LAMPS"] if light.lamps > 0 else []),
            *(["WET"] if light.wetness > 0 else []),
        ]
        ground = graphics.program("surface", "ground", defines)
        paint = graphics.program("surface", "ground", [*defines, "PAINTED"])
        facade = graphics.program("surface", "facade", [*defines, *(["WINDOWS"] if light.windows > 0 else [])])
        self._object_program = graphics.program("object", "object", defines)
        self._leaf_program = graphics.program("object", "object", [*defines, "LEAVES"])
        self._caster_program = graphics.program("object", "nothing", ["SHADOW_PASS"], lit=False)
        self._ground = _Surfaces(graphics, ground_base(city), ground)
        self._paint = _Surfaces(graphics, ground_paint(city), paint)
        self._buildings = _Surfaces(graphics, building_chunks(scenery), facade)
        walls = graphics.program("surface", "nothing", ["SHADOW_PASS"], lit=False)
        self._casting_walls = graphics.vertex_array(walls, [(self._buildings.buffer, SURFACE_FORMAT, SURFACE_NAMES)])
        square = context.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32).tobytes())
        sky, meadow = graphics.program("sky", "sky", defines), graphics.program("meadow", "ground", defines)
        self._sky = context.vertex_array(sky, [(square, "2f", "in_corner")])
        self._meadow = context.vertex_array(meadow, [(square, "2f", "in_corner")])
        self._square = square
        self._contact_program = graphics.program("contact", "contact")

        self._library, first_prop = world_meshes()
        self._mesh_buffers = (
            context.buffer(self._library.vertices.tobytes()),
            context.buffer(self._library.indices.tobytes()),
        )
        self._props = Props(self._library, first_prop, city, scenery, light.lamps)
        self._glow = Glow(graphics, city, self._props.lamp_heads, light)
        self._lamplight = LampLight(graphics, self._props.lamp_heads, light) if light.lamps > 0 else None

        graphics.texture_array(ground_textures(scenery.seed)).use(UNITS["materials"])
        graphics.texture_array(facade_textures(scenery.seed)).use(UNITS["facades"])
        size = options.shadow_size
        self._shadow_map = context.depth_texture((size, size))
        self._shadow_map.compare_func = "<="
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        # Depth is copied from one frame buffer to another only where they have colour too; it is not used.
        self._shadow_target, self._still_shadows = (
            context.framebuffer([context.texture((size, size), 1)], depth)
            for depth in (self._shadow_map, context.depth_texture((size, size)))
        )
        self._still_middle: tuple[float, ...] = ()
        self._shadow_map.use(UNITS["shadow_map"])
        self._frame_buffer = context.buffer(reserve=len(self._frame(np.eye(4), np.zeros(2))))
        self._frame_buffer.bind_to_uniform_block(1)
        self._batches: list[_Batch] = []
        self._casters = _Objects(graphics, self._caster_program, self._mesh_buffers)
        self._moving_casters = _Objects(graphics, self._caster_program, self._mesh_buffers)
        self._wall_draws = Indirect(context)
        self._used = 0

    def begin(self, reference: WorldState) -> None:
        """Sets the light of an instant: shadow map, light of lamps."""
        self._used = 0
        middle = shadows.map_middle(reference.ego.center)
        T_shadow_world = shadows.shadow_transform(self._light.sun_direction, middle, self._options.shadow_size)
        pool_middle = reference.ego.center.round()
        self._frame_buffer.write(self._frame(T_shadow_world, pool_middle))
        if self._lamplight is not None:
            self._lamplight.draw(reference, pool_middle)
        if self._options.shadows:
            self._cast(reference, middle)

    def draw(
        self, target: moderngl.Framebuffer, camera: PlacedCamera, state: WorldState, reference: WorldState
    ) -> None:
        """One camera's picture, into the viewport of `target`, which is in use."""
        context = self._context
        batch = self._next_batch()
        batch.set_camera(camera, state.time_s)
        meters_per_pixel = 1.0 / float(camera.calibration.intrinsic[0, 0])
        actors = actor_instances(
            self._library, state.actors, state.time_s, lamps=self._light.lamps, reference=reference.actors
        )
        # Walls come first: they hide most of what stands behind them.
        context.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        context.front_face = "cw"  # the picture is upside down for OpenGL
        batch.draw_chunks(self._buildings, camera, _BUILDING_REACH_M, 0)
        context.enable_only(moderngl.DEPTH_TEST)
        things = join_instances([actors, self._props.signals(state.signals), self._props.still])
        batch.objects.draw(*self._visible(things, camera, meters_per_pixel))
        batch.leaves.draw(*self._visible(self._props.trees, camera, meters_per_pixel))
        batch.draw_chunks(self._ground, camera, _GROUND_REACH_M, 1)
        self._meadow.render(moderngl.TRIANGLE_STRIP)
        context.depth_func = "<="
        self._sky.render(moderngl.TRIANGLE_STRIP)
        context.depth_func = "<"
        context.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        batch.draw_chunks(self._paint, camera, _PAINT_REACH_M, 2)
        target.depth_mask = False
        boxes = contact.contact_boxes(state.actors, camera)
        if batch.contact.write(boxes):
            batch.contact.array.render(moderngl.TRIANGLE_STRIP, vertices=4, instances=len(boxes))
        halos = self._glow.halos(camera, state)
        if batch.halos.write(halos):
            context.enable(moderngl.PROGRAM_POINT_SIZE)
            _write_labels(target, False)
            self._glow.draw(batch.halos.array, len(halos), camera)
            _write_labels(target, True)
        target.depth_mask = True

    def _visible(
        self, things: Instances, camera: PlacedCamera, meters_per_pixel: float
    ) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
        """What to draw of `things`: those in view that are larger than a pixel."""
        things, distance = near_camera(things, camera, _OBJECT_REACH_M)
        big = things.radius > 0.5 * meters_per_pixel * distance
        return self._library.draws(things.select(big), distance[big], meters_per_pixel)

    def _next_batch(self) -> _Batch:
        """The buffers of the next camera: its own, so that none waits for another's to be drawn."""
        if self._used == len(self._batches):
            self._batches.append(self._make_batch())
        self._used += 1
        return self._batches[self._used - 1]

    def _make_batch(self) -> _Batch:
        context, graphics = self._context, self._graphics

        def dark_ground(buffer: moderngl.Buffer) -> moderngl.VertexArray:
            return context.vertex_array(
                self._contact_program, [(self._square, "2f", "in_corner"), (buffer, contact.FORMAT, *contact.NAMES)]
            )

        return _Batch(
            context,
            objects=_Objects(graphics, self._object_program, self._mesh_buffers),
            leaves=_Objects(graphics, self._leaf_program, self._mesh_buffers),
            contact=GrowingBuffer(context, dark_ground),
            halos=GrowingBuffer(context, self._glow.array),
        )

    def _cast(self, reference: WorldState, middle: FloatArray) -> None:
        """Draws the shadow map around `middle`; what stands still is drawn only when that has changed."""
        context = self._context
        context.enable_only(moderngl.DEPTH_TEST)
        context.polygon_offset = (1.5, 4.0)
        if self._still_middle != tuple(middle):
            self._still_middle = tuple(middle)
            self._still_shadows.use()
            self._still_shadows.clear(depth=1.0)
            self._cast_objects(self._casters, join_instances([self._props.still, self._props.trees]), middle, 0.05)
            draws = self._buildings.chunks.commands_near(middle, _CASTER_REACH_M)
            self._wall_draws.render(self._casting_walls, draws)
        context.copy_framebuffer(self._shadow_target, self._still_shadows)
        self._shadow_target.use()
        actors = actor_instances(self._library, reference.actors, reference.time_s, lamps=0.0)
        self._cast_objects(self._moving_casters, join_instances([actors, self._ego(reference)]), middle, 0.12)
        context.polygon_offset = (0.0, 0.0)

    def _cast_objects(self, casters: _Objects, things: Instances, middle: FloatArray, detail_m: float) -> None:
        """Draws what may throw a shadow near `middle`, in meshes with details of about `detail_m`."""
        distance = np.hypot(*(things.middle[:, :2] - middle).T)
        near = distance < _CASTER_REACH_M + things.radius
        # Shadows farther away may be rougher.
        details = np.where(distance[near] < _FINE_SHADOWS_M, detail_m, 2 * detail_m)
        casters.draw(*self._library.draws(things.select(near), details, 1.0))

    def _ego(self, state: WorldState) -> Instances:
        """The ego's own car: its cameras see its shadow only."""
        me = make_actors(["ego"], [_EGO_MODEL], [state.ego.center], [state.ego.heading])
        return actor_instances(self._library, me, state.time_s, lamps=0.0)

    def _frame(self, T_shadow_world: FloatArray, pool_middle: FloatArray) -> bytes:
        """The uniform block Frame of shaders/common.glsl."""
        light = self._light
        return block(
            {
                "T_shadow_world": T_shadow_world,
                "sun_direction": light.sun_direction,
                "sun": light.sun,
                "sky_light": light.sky_light,
                "ground_light": light.ground_light,
                "zenith": light.zenith,
                "horizon": light.horizon,
                "cloud": [*light.cloud, light.cloud_cover],
                "fog": [*light.fog, light.fog_density],
                "film": light.exposure * light.tint,
                "weather": [light.wetness, light.rain, light.lamps, light.windows],
                "pool": [*pool_middle, 1.0 / (2 * POOL_REACH_M), float(light.lamps > 0)],
            }
        )


class _Objects:
    """Draws instances of meshes with one program."""

    def __init__(
        self, graphics: Graphics, program: moderngl.Program, mesh: tuple[moderngl.Buffer, moderngl.Buffer]
    ) -> None:
        vertices, indices = mesh

        def array(buffer: moderngl.Buffer) -> moderngl.VertexArray:
            content = [(vertices, VERTEX_FORMAT, VERTEX_NAMES), (buffer, INSTANCE_FORMAT, INSTANCE_NAMES)]
            return graphics.vertex_array(program, content, indices)

        self._instances = GrowingBuffer(graphics.context, array)
        self._draws = Indirect(graphics.context)

    def draw(self, instances: NDArray[np.float32], draws: NDArray[np.uint32]) -> None:
        """Draws meshes: what `MeshLibrary.draws` returns."""
        if self._instances.write(instances):
            self._draws.render(self._instances.array, draws)


class _Batch:
    """The buffers that one camera's picture is drawn from."""

    def __init__(
        self,
        context: moderngl.Context,
        *,
        objects: _Objects,
        leaves: _Objects,
        contact: GrowingBuffer,
        halos: GrowingBuffer,
    ) -> None:
        self.objects, self.leaves, self.contact, self.halos = objects, leaves, contact, halos
        self._camera = context.buffer(reserve=4 * 32)
        self._chunks = [Indirect(context) for _ in range(3)]

    def set_camera(self, camera: PlacedCamera, time_s: float) -> None:
        """Makes a camera the one that is drawn."""
        a, b, c = camera.rays
        values = {"T_clip_world": camera.T_clip_world, "eye": [*camera.eye, time_s], "ray_a": a, "ray_b": b, "ray_c": c}
        self._camera.write(block(values))
        self._camera.bind_to_uniform_block(0)

    def draw_chunks(self, surfaces: _Surfaces, camera: PlacedCamera, reach_m: float, slot: int) -> None:
        """Draws the chunks that a camera may see."""
        self._chunks[slot].render(surfaces.array, surfaces.chunks.commands(camera, reach_m))


def _write_labels(target: moderngl.Framebuffer, on: bool) -> None:
    """Whether what is drawn changes the labels, where the target has them."""
    if len(target.color_attachments) > 1:
        target.color_mask = (True,) * 4, (on,) * 4  # type: ignore[assignment]
