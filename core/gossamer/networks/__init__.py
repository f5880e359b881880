"""Running networks: ONNX Runtime, torch and transformers, with their quotas, locks and cancelling."""
