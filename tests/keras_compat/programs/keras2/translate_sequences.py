"""Encoder and decoder LSTMs that hand on their states; inference models made of the trained layers (Keras 2)."""

import numpy as np
from keras.layers import LSTM, Dense, Input
from keras.models import Model
from keras.optimizers import RMSprop

np.random.seed(2)
n, length, tokens, latent = 60, 4, 6, 16
words = np.random.randint(2, tokens, size=(n, length))
encoder_data = np.eye(tokens)[words]
reverse = words[:, ::-1]
decoder_data = np.eye(tokens)[np.concatenate([np.zeros((n, 1), int), reverse], axis=1)]
target = np.eye(tokens)[np.concatenate([reverse, np.ones((n, 1), int)], axis=1)]

encoder_inputs = Input(shape=(None, tokens))
encoder = LSTM(latent, return_state=True)
encoder_outputs, state_h, state_c = encoder(encoder_inputs)
encoder_states = [state_h, state_c]
decoder_inputs = Input(shape=(None, tokens))
decoder_lstm = LSTM(latent, return_sequences=True, return_state=True)
decoder_outputs, _, _ = decoder_lstm(decoder_inputs, initial_state=encoder_states)
decoder_dense = Dense(tokens, activation="softmax")
decoder_outputs = decoder_dense(decoder_outputs)
model = Model([encoder_inputs, decoder_inputs], decoder_outputs)
model.compile(optimizer=RMSprop(lr=0.02), loss="categorical_crossentropy")
losses = model.fit([encoder_data, decoder_data], target, batch_size=20, epochs=10, validation_split=0.2,
                   verbose=0).history["loss"]
assert losses[-1] < 0.9 * losses[0]

encoder_model = Model(encoder_inputs, encoder_states)
decoder_state_inputs = [Input(shape=(latent,)), Input(shape=(latent,))]
decoder_outputs, state_h, state_c = decoder_lstm(decoder_inputs, initial_state=decoder_state_inputs)
decoder_outputs = decoder_dense(decoder_outputs)
decoder_model = Model([decoder_inputs] + decoder_state_inputs, [decoder_outputs, state_h, state_c])

# Token by token gives what one pass over the whole sequence gives.
states = encoder_model.predict(encoder_data[:3])
steps = []
for t in range(length + 1):
    out, h, c = decoder_model.predict([decoder_data[:3, t : t + 1]] + states)
    states = [h, c]
    steps.append(out[:, 0])
np.testing.assert_allclose(np.stack(steps, 1), model.predict([encoder_data[:3], decoder_data[:3]]), rtol=1e-4, atol=1e-6)
