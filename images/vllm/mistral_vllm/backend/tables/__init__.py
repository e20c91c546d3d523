"""Tables of decode kernels, measured by :mod:`mistral_vllm.backend.tuning`: one JSON file for each GPU and shape."""
