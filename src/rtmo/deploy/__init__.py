"""Networks leave torch: ONNX files in three forms and precisions."""
