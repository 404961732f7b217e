"""A recurrent net written by hand, trained on a short text one character ahead."""
import autograd.numpy as np
import autograd.numpy.random as npr
from autograd import grad
from autograd.scipy.special import logsumexp
from autograd.misc.optimizers import rmsprop, sgd


def concat_and_multiply(weights, *args):
    cat_state = np.hstack(args + (np.ones((args[0].shape[0], 1)),))
    return np.dot(cat_state, weights)


def create_rnn_params(input_size, state_size, output_size, param_scale, rs):
    return {'init hiddens': rs.randn(1, state_size) * param_scale,
            'change': rs.randn(input_size + state_size + 1, state_size) * param_scale,
            'predict': rs.randn(state_size + 1, output_size) * param_scale}


def rnn_predict(params, inputs):
    def update_rnn(input, hiddens):
        return np.tanh(concat_and_multiply(params['change'], input, hiddens))

    def hiddens_to_output_probs(hiddens):
        output = concat_and_multiply(params['predict'], hiddens)
        return output - logsumexp(output, axis=1, keepdims=True)

    num_sequences = inputs.shape[1]
    hiddens = np.repeat(params['init hiddens'], num_sequences, axis=0)
    output = [hiddens_to_output_probs(hiddens)]
    for input in inputs:
        hiddens = update_rnn(input, hiddens)
        output.append(hiddens_to_output_probs(hiddens))
    return output


def rnn_log_likelihood(params, inputs, targets):
    logprobs = rnn_predict(params, inputs)
    loglik = 0.0
    num_time_steps, num_examples, _ = inputs.shape
    for t in range(num_time_steps):
        loglik += np.sum(logprobs[t] * targets[t])
    return loglik / (num_time_steps * num_examples)


letters = "abc "
text = ["abc abc ", "cab cab ", "bca bca "]
data = np.array([[[float(c == k) for k in letters] for c in line] for line in text]).transpose(1, 0, 2)

init_params = create_rnn_params(4, 6, 4, 0.3, npr.RandomState(2))
losses = []


def training_loss(params, iter):
    return -rnn_log_likelihood(params, data, data)


def callback(weights, iter, gradient):
    losses.append(training_loss(weights, 0))


trained = rmsprop(grad(training_loss), init_params, step_size=0.02, num_iters=12, callback=callback)
slower = sgd(grad(training_loss), init_params, step_size=0.5, num_iters=6)

results = {"losses": losses, "change": trained['change'], "predict": trained['predict'], "slower": slower['init hiddens']}
