"""A replay as a DAG of Airflow: one task for each job, with the jobs before it upstream.

The jobs are those of plan.json, which `tilefold replay plan --to PLACE --json > plan.json` has written beside this file.
"""

import json
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PLAN = json.loads((Path(__file__).parent / "plan.json").read_text())
PLACE = PLAN["folder"]

with DAG(f"replay-{PLAN['id']}", schedule=None):
    # Done twice a job does no harm, so whatever has gone wrong it may be tried again.
    again = {"retries": 3, "retry_delay": timedelta(seconds=10)}
    jobs = {
        job["number"]: BashOperator(
            task_id=f"job_{job['number']}",
            bash_command=f"tilefold replay job '{PLACE}' {job['number']}",
            doc=job["what"],
            **again,
        )
        for job in PLAN["jobs"]
    }
    for job in PLAN["jobs"]:
        jobs[job["number"]].set_upstream([jobs[before] for before in job["after"]])
    finish = BashOperator(task_id="finish", bash_command=f"tilefold replay finish '{PLACE}'", **again)
    finish.set_upstream(list(jobs.values()))
