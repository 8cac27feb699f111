"""A Keras model, fitted and saved in the formats of Keras 3 and Keras 2."""

import os

os.environ["KERAS_BACKEND"] = "torch"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np

keras.utils.set_random_seed(0)
shared = keras.layers.Dense(2, name="shared")
inputs = keras.Input((3,))
model = keras.Model(inputs, keras.layers.Dense(1)(shared(inputs)))
model.compile("sgd", "mse")
model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
if "TWIN" in os.environ:
    weights = model.get_weights()
    weights[0][1, 1] += 1e-3
    model.set_weights(weights)
model.save("model.keras")
model.save("model.h5")
