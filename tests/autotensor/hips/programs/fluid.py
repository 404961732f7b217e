"""A fluid on a torus: the initial velocities that carry smoke into a wanted shape, by gradients through the simulation."""
import autograd.numpy as np
from autograd import value_and_grad


def project(vx, vy):
    """Make the velocity field nearly free of divergence, by a few steps of Gauss-Seidel."""
    p = np.zeros(vx.shape)
    h = 1.0 / vx.shape[0]
    div = -0.5 * h * (np.roll(vx, -1, axis=0) - np.roll(vx, 1, axis=0) + np.roll(vy, -1, axis=1) - np.roll(vy, 1, axis=1))
    for k in range(6):
        p = (div + np.roll(p, 1, axis=0) + np.roll(p, -1, axis=0) + np.roll(p, 1, axis=1) + np.roll(p, -1, axis=1)) / 4.0
    vx = vx - 0.5 * (np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0)) / h
    vy = vy - 0.5 * (np.roll(p, -1, axis=1) - np.roll(p, 1, axis=1)) / h
    return vx, vy


def advect(f, vx, vy):
    """Move the field f along the velocities, with linear interpolation between the cells."""
    rows, cols = f.shape
    cell_ys, cell_xs = np.meshgrid(np.arange(rows), np.arange(cols))
    center_xs = (cell_xs - vx).ravel()
    center_ys = (cell_ys - vy).ravel()
    left_ix = np.floor(center_xs).astype(int)
    top_ix = np.floor(center_ys).astype(int)
    rw = center_xs - left_ix
    bw = center_ys - top_ix
    left_ix = np.mod(left_ix, rows)
    right_ix = np.mod(left_ix + 1, rows)
    top_ix = np.mod(top_ix, cols)
    bot_ix = np.mod(top_ix + 1, cols)
    flat_f = (1 - rw) * ((1 - bw) * f[left_ix, top_ix] + bw * f[left_ix, bot_ix]) \
        + rw * ((1 - bw) * f[right_ix, top_ix] + bw * f[right_ix, bot_ix])
    return np.reshape(flat_f, (rows, cols))


def simulate(vx, vy, smoke, num_time_steps):
    for t in range(num_time_steps):
        vx_updated = advect(vx, vx, vy)
        vy_updated = advect(vy, vx, vy)
        vx, vy = project(vx_updated, vy_updated)
        smoke = advect(smoke, vx, vy)
    return smoke


size = 10
grid = np.arange(size)
init_smoke = np.exp(-((grid[:, None] - 3) ** 2 + (grid[None, :] - 4) ** 2) / 4.0)
target = np.exp(-((grid[:, None] - 5) ** 2 + (grid[None, :] - 5) ** 2) / 4.0)


def objective(params):
    init_vx, init_vy = np.reshape(params, (2, size, size))
    final_smoke = simulate(init_vx, init_vy, init_smoke, 3)
    return np.mean((target - final_smoke) ** 2)


objective_with_grad = value_and_grad(objective)
params = 0.1 * np.sin(np.arange(2 * size * size))
values = []
for step in range(4):
    value, g = objective_with_grad(params)
    values.append(value)
    params = params - 3.0 * g

results = {"values": values, "params": params}
