"""Search the weights of VNIbCReg's losses with Optuna: on this machine, without an account.

    pip install 'seisml[optuna]'
    python examples/optuna_ssl_weights.py --trials 30 dataset=store dataset.root=data/mine

Whatever is no option is an override of Hydra's, for every run. The study lies in a file beside the runs: the same
command again goes on with it, and several at once share it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

import optuna
from optuna.trial import TrialState

from seisml.config.launch import run
from seisml.run.results import RunResult
from seisml.run.train import train

SCORE = "probe/knn_acc"  # of the pretraining: 5 nearest neighbours among labelled events
RANGES = {  # searched evenly in the logarithm
    "exp_params.lambda_": (1.0, 100.0),
    "exp_params.mu": (1.0, 100.0),
    "exp_params.nu": (1.0, 400.0),
    "exp_params.rho": (1.0, 50.0),
    "exp_params.LR": (1e-4, 3e-3),
}


def main() -> None:
    """Run the trials, and say which was best."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/ssl.yaml", help="as of sslearn.py (default: configs/ssl.yaml)")
    parser.add_argument("--trials", type=int, default=30, help="runs (default: 30)")
    parser.add_argument("--study", type=Path, default=Path("runs/optuna.db"), help="file that remembers them")
    options, overrides = parser.parse_known_args()

    def objective(trial: optuna.Trial) -> float:
        chosen = [f"{key}={trial.suggest_float(key, *ends, log=True):.6g}" for key, ends in RANGES.items()]
        results: list[RunResult] = []
        code = run(options.config, lambda cfg, folder: results.append(train(cfg, folder)), [*overrides, *chosen])
        if code == 130:
            raise KeyboardInterrupt
        if code and not trial.study.get_trials(states=[TrialState.COMPLETE]):
            sys.exit(code)  # nothing has run yet: a setting is wrong, and the next trial has it too
        if code or SCORE not in results[0].metrics:
            raise optuna.TrialPruned(f"exit code {code}")  # a loss that is not finite, as has been said
        trial.set_user_attr("folder", str(results[0].folder))
        return results[0].metrics[SCORE]

    options.study.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{options.study}", study_name="ssl_weights", direction="maximize", load_if_exists=True
    )
    study.optimize(objective, n_trials=options.trials)
    done = study.get_trials(states=[TrialState.COMPLETE])
    if done:
        best = study.best_trial
        print(f"best {SCORE} of {len(done)} trials: {best.value:.4g} in {best.user_attrs['folder']}")
        print(" ".join(f"{name}={value:.4g}" for name, value in best.params.items()))


if __name__ == "__main__":
    main()
