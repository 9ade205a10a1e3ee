"""The public faces: thin classes over the engine."""
