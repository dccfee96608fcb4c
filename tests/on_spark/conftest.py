"""A Spark of this machine's own, or the reason why there is none."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "3",
    "spark.executorEnv.POLARS_MAX_THREADS": "1",
}


def missing() -> str | None:
    """Return why nothing can be asked of Spark here."""
    if importlib.util.find_spec("pyspark") is None:
        return "no PySpark: run make test-spark"
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        return "no Java, on which Spark runs: run make test-spark"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    if reason is None:
        return
    if "LADDERPIPE_SPARK" in os.environ:
        # Who asks for these tests must not be told that all is well.
        raise pytest.UsageError(reason)
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Run Spark with two workers, on the loopback address alone."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder: Any = SparkSession.builder.master("local[2]")
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        folder = tmp_path_factory.mktemp("spark")
        builder = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        session = builder.config("spark.local.dir", str(folder)).getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()
