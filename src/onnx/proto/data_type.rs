//! Values of `TensorProto::data_type` and `TensorTypeProto::elem_type`, as far as they are used.

/// 32-bit floating point.
pub const FLOAT: i32 = 1;
/// Bytes.
pub const UINT8: i32 = 2;
/// Bytes with a sign.
pub const INT8: i32 = 3;
/// 32-bit integers with a sign.
pub const INT32: i32 = 6;
/// 64-bit integers with a sign.
pub const INT64: i32 = 7;
/// A byte each: 0 or 1.
pub const BOOL: i32 = 9;
/// IEEE 754 half precision.
pub const FLOAT16: i32 = 10;
/// 64-bit floating point.
pub const DOUBLE: i32 = 11;
/// The upper half of a 32-bit float.
pub const BFLOAT16: i32 = 16;
