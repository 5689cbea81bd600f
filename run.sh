cd /work/wt/store; unset PYTHONDONTWRITEBYTECODE; export PYTHONPATH=$PWD:$PWD/hub-services/versions:$PWD/hub-services/culler:$PWD/hub-services/mlflow-proxy DEVPLATFORM_CACHE=/work/main/.cache
exec /work/wt/gcs-env/bin/python "$@"
