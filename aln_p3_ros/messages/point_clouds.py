"""Point clouds: `sensor_msgs/PointCloud2` to and from numpy, with the bytes that `sensor_msgs_py` would write."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from aln_p3_core.errors import DataError

_DTYPES = {
    PointField.INT8: "i1",
    PointField.UINT8: "u1",
    PointField.INT16: "i2",
    PointField.UINT16: "u2",
    PointField.INT32: "i4",
    PointField.UINT32: "u4",
    PointField.FLOAT32: "f4",
    PointField.FLOAT64: "f8",
}


def point_cloud_message(
    points: NDArray[np.float32], header: Header, fields: Sequence[str] = ("x", "y", "z", "intensity")
) -> PointCloud2:
    """An unordered cloud of float32 columns.

    Args:
        points: [N, len(fields)], metres in the header's frame for x, y and z.
        header: stamp and frame.
        fields: names of the columns.

    Raises:
        DataError: when columns and names do not fit.
    """
    if points.ndim != 2 or points.shape[1] != len(fields):
        raise DataError(f"points of shape {points.shape} do not have the {len(fields)} columns {list(fields)}")
    content = np.ascontiguousarray(points, dtype="<f4")
    described = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(fields)
    ]
    message = PointCloud2(header=header, height=1, width=len(content), fields=described)
    message.is_bigendian = False
    message.is_dense = bool(np.isfinite(content).all())
    message.point_step = 4 * len(fields)
    message.row_step = message.point_step * message.width
    data = array("B")
    data.frombytes(content.tobytes())
    message.data = data
    return message


def point_cloud_array(
    message: PointCloud2, fields: Sequence[str] = ("x", "y", "z", "intensity")
) -> NDArray[np.float32]:
    """The named fields of a cloud as float32 [N, len(fields)], whatever their type, padding and byte order.

    Raises:
        DataError: naming a field that the cloud does not have, or a cloud with fewer bytes than it declares.
    """
    known = {field.name: field for field in message.fields}
    missing = [name for name in fields if name not in known]
    if missing:
        raise DataError(f"the point cloud has no field {missing}; it has {sorted(known)}")
    needed = message.row_step * (message.height - 1) + message.point_step * message.width if message.height else 0
    if len(message.data) < needed:
        raise DataError(f"the point cloud has {len(message.data)} bytes, {needed} are declared")
    order = ">" if message.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": list(fields),
            "formats": [order + _DTYPES[known[name].datatype] for name in fields],
            "offsets": [known[name].offset for name in fields],
            "itemsize": message.point_step,
        }
    )
    cloud: NDArray[np.void] = np.ndarray(
        (message.height, message.width), layout, message.data, strides=(message.row_step, message.point_step)
    )
    return np.stack([cloud[name].reshape(-1).astype(np.float32) for name in fields], axis=1)
