"""Eight float32 at a time in compiled loops: what LLVM's vectorizers leave scalar because arrays might overlap.

``v = load(array, index)`` reads eight neighbouring values (the caller sees to the bounds), ``store(array, index, v)``
writes them; ``+ - *`` work lane by lane; `spread`, `total` and `where_positive` do what they say. LLVM makes of them
what the processor has.
"""

# Numba's extension interface is untyped.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-subclassing-any, no-check-untyped-defs

from __future__ import annotations

import operator

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model
from numba.np.arrayobj import make_array

__all__ = ["load", "magnitude", "spread", "store", "total", "where_positive"]

_WIDE = ir.VectorType(ir.FloatType(), 8)


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


_lanes = _Lanes()


@register_model(_Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, _WIDE)


def _binary(symbol, instruction):
    @infer_global(symbol)
    class _Typing(ConcreteTemplate):
        cases = [signature(_lanes, _lanes, _lanes)]  # noqa: RUF012

    @lower_builtin(symbol, _lanes, _lanes)
    def _lower(context, builder, sig, args):
        return getattr(builder, instruction)(*args)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _binary(_symbol, _instruction)


def _pointer(context, builder, sig, args):
    array = make_array(sig.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), _WIDE.as_pointer())


@intrinsic
def load(typing, array, index):
    """Return array[index : index + 8]."""

    def code(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig, args), align=4)

    return _lanes(array, types.intp), code


@intrinsic
def store(typing, array, index, value):
    """Write array[index : index + 8]."""

    def code(context, builder, sig, args):
        builder.store(args[2], _pointer(context, builder, sig, args), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), code


@intrinsic
def spread(typing, value):
    """Return eight times `value`."""

    def code(context, builder, sig, args):
        one = builder.insert_element(ir.Constant(_WIDE, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
        return builder.shuffle_vector(one, one, zeros)

    return _lanes(types.float32), code


@intrinsic
def where_positive(typing, test, value):
    """Return `value` in the lanes where `test` is above zero, else zero."""

    def code(context, builder, sig, args):
        zero = ir.Constant(_WIDE, [0.0] * 8)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[1], zero)

    return _lanes(_lanes, _lanes), code


@intrinsic
def magnitude(typing, value):
    """Return the absolute values."""

    def code(context, builder, sig, args):
        zero = ir.Constant(_WIDE, [0.0] * 8)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[0], builder.fsub(zero, args[0]))

    return _lanes(_lanes), code


@intrinsic
def total(typing, value):
    """Return the sum of the lanes, always in the same order."""

    def code(context, builder, sig, args):
        rest = args[0]
        for half in (4, 2, 1):
            index = [*range(half, 2 * half), *([0] * (8 - half))]
            moved = builder.shuffle_vector(rest, rest, ir.Constant(ir.VectorType(ir.IntType(32), 8), index))
            rest = builder.fadd(rest, moved)
        return builder.extract_element(rest, ir.Constant(ir.IntType(32), 0))

    return types.float32(_lanes), code
