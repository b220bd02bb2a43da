"""The WorkflowTemplate of a spec, made with Hera: the one module that imports it.

    check ─► split ─► train-<class> per shard (one fan-out per resource class) ─► collect
                                                                         exit ─► finish

Only numbers cross the fan-out. ``collect`` runs whatever became of the trainers and decides the
outcome; without it Argo would call a run with failed trainers a success (argo-workflows #12530).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hera.workflows import (
    DAG,
    ConfigMapEnv,
    Container,
    Counter,
    CronWorkflow,
    EmptyDirVolume,
    Env,
    FieldEnv,
    Gauge,
    GCSArtifact,
    Label,
    NoneArchiveStrategy,
    Parameter,
    Resources,
    RetryStrategy,
    SecretEnv,
    Task,
    Workflow,
    WorkflowTemplate,
    models,
)

from steps.contract import output, shards_output, step_command
from steps.quantity import parse_duration
from steps.records import canonical_json
from workflows.argo import expressions, pod_patch
from workflows.argo.experiment import EXECUTOR, PROJECT_MAP, Experiment
from workflows.argo.form import form_of
from workflows.installation.model import Installation
from workflows.installation.resource_classes import ResourceClass
from workflows.pods import environment as env
from workflows.pods.environment import CAUSES, REPORT, STATUSES
from workflows.spec.model import MAX_PODS, ExperimentSpec

Manifest = dict[str, Any]

USER = 10001
MOST_RETRIES = 200
"""Argo counts every retry, whatever caused it; the budget by cause is in the run's ledger."""
LONGEST_WAIT = "60s"
"""Between two pods of a step. They wait for storage that is out, or for a node, without a hurry."""
TRIES_TO_TELL = 5
"""Of the exit handler, which keeps no ledger: a webhook that is gone must not hold the run open."""
LATEST_START_SECONDS = 3600


def workflow_template(spec: ExperimentSpec, installation: Installation) -> Manifest:
    """The WorkflowTemplate that the Argo UI, ``submit`` and a CronWorkflow start runs from."""
    built = WorkflowTemplate(name=spec.name, **_Templates(spec, installation).arguments())
    return _manifest(built)


def workflow(spec: ExperimentSpec, installation: Installation) -> Manifest:
    """A Workflow that needs no WorkflowTemplate: one run of this very spec."""
    arguments = _Templates(spec, installation).arguments()
    return _manifest(Workflow(generate_name=f"{spec.name}-", **arguments))


def cron_workflow(spec: ExperimentSpec, installation: Installation) -> Manifest:
    """The CronWorkflow of a spec that has a schedule; it starts runs of the WorkflowTemplate."""
    assert spec.schedule is not None
    about = Experiment(spec, installation)
    schedule = spec.schedule
    built = CronWorkflow(
        name=spec.name,
        namespace=about.project.namespace,
        labels=about.labels,
        annotations=about.annotations,
        schedules=[schedule.cron],
        timezone=schedule.timezone,
        concurrency_policy=schedule.concurrency.capitalize(),
        cron_suspend=schedule.suspended,
        starting_deadline_seconds=LATEST_START_SECONDS,
        successful_jobs_history_limit=3,
        failed_jobs_history_limit=3,
        workflow_template_ref=models.WorkflowTemplateRef(name=spec.name),
    )
    return _manifest(built)


def _manifest(built: Workflow) -> Manifest:
    made: Manifest = built.to_dict()
    return made


class _Templates:
    """An experiment's templates, and what else is in a WorkflowTemplate and a Workflow alike."""

    def __init__(self, spec: ExperimentSpec, installation: Installation) -> None:
        self.about = Experiment(spec, installation)

    def arguments(self) -> dict[str, Any]:
        """What a WorkflowTemplate and a Workflow are made of alike."""
        execution = self.about.spec.execution
        return {
            "namespace": self.about.project.namespace,
            "labels": self.about.labels,
            "annotations": self.about.annotations,
            "entrypoint": "experiment",
            "parallelism": MAX_PODS,  # whatever a step lists: split itself lists far fewer
            "arguments": list(self._form()),
            "templates": list(self._templates()),
            "on_exit": "exit",
            "service_account_name": "refeed-train",
            "automount_service_account_token": False,
            "executor": models.ExecutorConfig(service_account_name=EXECUTOR),
            "security_context": models.PodSecurityContext(
                run_as_non_root=True,
                run_as_user=USER,
                run_as_group=USER,
                fs_group=USER,
                seccomp_profile=models.SeccompProfile(type="RuntimeDefault"),
            ),
            "pod_spec_patch": pod_patch.PROGRESS,
            "active_deadline_seconds": parse_duration(execution.deadline),
            "pod_gc": models.PodGC(strategy="OnPodCompletion", delete_delay_duration="600s"),
            "ttl_strategy": models.TTLStrategy(
                seconds_after_completion=parse_duration(execution.ttl)
            ),
            "workflow_metadata": models.WorkflowMetadata(
                labels=self.about.labels,
                annotations=self.about.annotations,
                labels_from={
                    "refeed/trainer": models.LabelValueFrom(
                        expression="workflow.parameters.trainer"
                    )
                },
            ),
            "synchronization": self._turns(),
            "metrics": [
                Gauge(
                    name="refeed_run_seconds",
                    help="Wall time of a run",
                    labels=self._metric_labels(),
                    value="{{workflow.duration}}",
                    realtime=False,
                )
            ],
        }

    def _form(self) -> Iterator[Parameter]:
        for field in form_of(self.about.spec, self.about.installation):
            yield Parameter(
                name=field.name,
                value=field.value,
                description=field.description,
                enum=list(field.choices) or None,
            )

    def _exit(self) -> DAG:
        """Runs the finish step where there is something to tell; else it costs no pod."""
        notify = self.about.installation.notify
        when = expressions.failed_or_late(notify.late_seconds if notify else None)
        with DAG(name="exit") as dag:
            dag.tasks = [Task(name="finish", template="finish", when=when)]
        return dag

    def _turns(self) -> models.Synchronization | None:
        """One run at a time, scheduled or not: a manual submit ignores the policy (#9087)."""
        if not self.about.spec.schedule or self.about.spec.schedule.concurrency != "forbid":
            return None
        return models.Synchronization(mutexes=[models.Mutex(name=self.about.spec.name)])

    def _metric_labels(self, **more: str) -> list[Label]:
        names = {"project": self.about.spec.project, "experiment": self.about.spec.name, **more}
        return [Label(key=key, value=value) for key, value in names.items()]

    def _classes(self, smallest: str) -> tuple[ResourceClass, ...]:
        return self.about.installation.classes_from(smallest)

    @property
    def _training_names(self) -> list[str]:
        return [each.name for each in self.about.training_classes]

    # --- templates --------------------------------------------------------------------------

    def _templates(self) -> Iterator[Any]:
        check, split, collect = self._check(), self._split(), self._collect()
        trainers = [self._train(name) for name in self._training_names]
        yield from (self._dag(), check, split, *trainers, collect, self._exit(), self._finish())

    def _dag(self) -> DAG:
        run = {"run": "{{tasks.check.outputs.parameters.run}}"}
        image = {"trainer-image": "{{tasks.check.outputs.parameters.trainer-image}}"}
        fans = [_fan(name, run | image) for name in self._training_names]
        after = expressions.after_all(fan.name for fan in fans)
        with DAG(name="experiment", fail_fast=False) as dag:
            dag.tasks = [
                Task(name="check", template="check"),
                Task(name="split", template="split", depends="check.Succeeded", arguments=run),
                *fans,
                Task(name="collect", template="collect", depends=after, arguments=run),
            ]
        return dag

    def _check(self) -> Container:
        """It runs in the trainer's image; which one, an expression on the form's answer tells."""
        return self._container(
            "check",
            image=self.about.chosen_image,
            account="refeed-train",
            classes=self._classes(self.about.installation.steps.check)[:1],
            env=[
                Env(
                    name=env.SPEC,
                    value=env.plain(canonical_json(self.about.spec.model_dump(mode="json"))),
                ),
                _parameters(),
            ],
            outputs=[_output("run"), _output("trainer-image")],
            run="",
        )

    def _split(self) -> Container:
        return self._container(
            "split",
            image=self.about.split_image,
            account="refeed-split",
            classes=self._classes(self.about.installation.steps.split),
            inputs=[Parameter(name="run")],
            outputs=[_output(shards_output(name)) for name in self._training_names],
        )

    def _train(self, resource_class: str) -> Container:
        return self._container(
            "train",
            name=f"train-{resource_class}",
            image="{{inputs.parameters.trainer-image}}",
            account="refeed-train",
            classes=self.about.training_classes[self._training_names.index(resource_class) :],
            inputs=[Parameter(name=name) for name in ("run", "trainer-image", "shard")],
            resource_class=resource_class,
            shard="{{inputs.parameters.shard}}",
        )

    def _collect(self) -> Container:
        numbers = [*STATUSES, *(f"pods-{cause}" for cause in CAUSES)]
        return self._container(
            "collect",
            image=self.about.installation.images.collect,
            account="refeed-collect",
            classes=self._classes(self.about.installation.steps.collect),
            inputs=[Parameter(name="run")],
            outputs=[self._report(), *(_output(name) for name in numbers)],
            metrics=list(self._metrics()),
        )

    def _report(self) -> GCSArtifact:
        """The report where the run has it anyway; Argo's UI shows it if it is not archived."""
        run = "{{inputs.parameters.run}}"
        address = self.about.address(run)
        bucket, _, key = address.run_layout.report.removeprefix("gs://").partition("/")
        return GCSArtifact(
            name="report",
            path=output(REPORT),
            bucket=bucket,
            key=key,
            archive=NoneArchiveStrategy(),
        )

    def _metrics(self) -> Iterator[Gauge | Counter]:
        for status in STATUSES:
            yield Gauge(
                name="refeed_partitions",
                help="Partitions of the last run, by status",
                labels=self._metric_labels(status=status),
                value=f"{{{{outputs.parameters.{status}}}}}",
                realtime=False,
            )
        for cause in CAUSES:
            yield Counter(
                name="refeed_pods_ended_total",
                help="Pods that ended early, by cause",
                labels=self._metric_labels(cause=cause),
                value=f"{{{{outputs.parameters.pods-{cause}}}}}",
            )

    def _finish(self) -> Container:
        notify = self.about.installation.notify
        webhook = (
            [
                SecretEnv(
                    name=env.WEBHOOK,
                    secret_name=notify.secret,
                    secret_key=notify.key,
                    optional=True,
                )
            ]
            if notify
            else []
        )
        return self._container(
            "finish",
            image=self.about.installation.images.collect,
            account="refeed-collect",
            classes=self._classes(self.about.installation.steps.collect)[:1],
            env=[
                _parameters(),
                Env(name=env.STATUS, value="{{workflow.status}}"),
                Env(name=env.DURATION, value="{{workflow.duration}}"),
                Env(name=env.FAILURES, value=expressions.FAILURES),
                *webhook,
            ],
            run="",
        )

    def _container(
        self,
        step: Any,  # noqa: ANN401 - one of the contract's steps
        *,
        image: str,
        account: str,
        classes: Sequence[ResourceClass],
        name: str = "",
        env: Sequence[Any] = (),
        inputs: Sequence[Parameter] = (),
        outputs: Sequence[Any] = (),
        metrics: Sequence[Any] = (),
        run: str = "{{inputs.parameters.run}}",
        **options: str,
    ) -> Container:
        """A template that runs one step in one pod."""
        own = classes[0]
        address = self.about.address(run)
        return Container(
            name=name or step,
            image=image,
            image_pull_policy="IfNotPresent",
            command=step_command(step, address, **options),
            env=[*self._environment(own, len(classes) - 1), *env],
            inputs=list(inputs),
            outputs=list(outputs),
            metrics=list(metrics) or None,
            labels={"refeed/step": step, "refeed/class": own.name},
            service_account_name=account,
            node_selector=own.node_selector or None,
            tolerations=[models.Toleration(**each.manifest()) for each in own.tolerations] or None,
            resources=Resources(
                cpu_request=own.cpu,
                cpu_limit=own.cpu,
                memory_request=own.memory,
                memory_limit=own.memory,
            ),
            pod_spec_patch=pod_patch.larger(classes) or None,
            retry_strategy=_retries(TRIES_TO_TELL if step == "finish" else MOST_RETRIES),
            security_context=models.SecurityContext(
                allow_privilege_escalation=False,
                read_only_root_filesystem=True,
                capabilities=models.Capabilities(drop=["ALL"]),
            ),
            volumes=[EmptyDirVolume(name="tmp", mount_path="/tmp")],  # noqa: S108
        )

    def _environment(self, own: ResourceClass, largest_class_offset: int) -> Iterator[Any]:
        yield Env(name=env.WORKFLOW, value="{{workflow.name}}")
        yield Env(name=env.CREATED, value="{{workflow.creationTimestamp.RFC3339}}")
        yield FieldEnv(name=env.POD, field_path="metadata.name")
        yield Env(name=env.RESOURCE_CLASS, value=own.name)
        yield Env(name=env.CLASS_OFFSET, value="0")
        yield Env(name=env.LARGEST_CLASS_OFFSET, value=str(largest_class_offset))
        yield Env(name=env.LAST_MESSAGE, value="{{lastRetry.message}}")
        yield Env(name=env.LAST_STATUS, value="{{lastRetry.status}}")
        yield Env(name=env.PLATFORM, value=env.plain(self.about.platform.to_json()))
        for name, key in ((env.PROJECT, "project"), (env.ROOT, "root")):
            yield ConfigMapEnv(name=name, config_map_name=PROJECT_MAP, config_map_key=key)
        for name, value in sorted(self.about.installation.environment.items()):
            yield Env(name=name, value=value)


def _fan(resource_class: str, arguments: dict[str, str]) -> Task:
    return Task(
        name=f"train-{resource_class}",
        template=f"train-{resource_class}",
        depends="split.Succeeded",
        with_param=f"{{{{tasks.split.outputs.parameters.{shards_output(resource_class)}}}}}",
        arguments=arguments | {"shard": "{{item}}"},
    )


def _output(name: str) -> Parameter:
    return Parameter(name=name, value_from=models.ValueFrom(path=output(name)))


def _parameters() -> Env:
    return Env(name=env.PARAMETERS, value=expressions.PARAMETERS)


def _retries(limit: int) -> RetryStrategy:
    return RetryStrategy(
        limit=limit,
        retry_policy="Always",
        expression=expressions.MAY_RETRY,
        backoff=models.Backoff(duration="2s", factor=2, cap=LONGEST_WAIT),
    )
