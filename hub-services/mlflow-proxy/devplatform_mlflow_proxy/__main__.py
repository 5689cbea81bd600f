"""`python -m devplatform_mlflow_proxy`: the service of the hub at /services/mlflow/."""

from .app import MlflowProxyApp

if __name__ == "__main__":
    MlflowProxyApp.launch_instance()
