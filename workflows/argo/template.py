"""The WorkflowTemplate of a spec, built with Hera; the only module that imports Hera.

    check ─► split ─► train-<class> per shard (one fan-out per resource class) ─► collect
                                                                         exit ─► finish

Argo passes only shard numbers to the training pods. ``collect`` runs even if trainers failed, and
decides the outcome; without it Argo would report a run with failed trainers as a success
(argo-workflows #12530).
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

from steps.contract import BASE_OUTPUT, Step, output, shards_output, step_command
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
from workflows.spec.schedule.cron import parse_cron
from workflows.spec.schedule.time_zones import plain_name

Manifest = dict[str, Any]

USER = 10001
MAX_RETRIES = 200
"""Argo's retry limit, which counts retries of any cause; the budget by cause is in the ledger."""
MAX_BACKOFF = "60s"
"""Maximum time between two pods of a step, to wait for unavailable storage or a node."""
MAX_FINISH_RETRIES = 5
"""Retry limit of the exit handler, so that an unavailable webhook does not keep the run open."""
SHORT_STEP_SECONDS = 1800
"""Deadline of check and finish, which take a minute: if their image cannot be pulled, the run ends
half an hour later. Without it, an exit handler that never starts would keep a run open for ever."""
LATEST_START_SECONDS = 3600
AFTER_TEMPLATE = {"argocd.argoproj.io/sync-wave": "1"}
"""Annotation by which Argo CD applies an object after those without it. Argo ignores a CronWorkflow
that comes before its WorkflowTemplate, for up to 20 minutes (argo-workflows #12332)."""


def workflow_template(spec: ExperimentSpec, installation: Installation) -> Manifest:
    """Return the WorkflowTemplate from which the Argo UI and a CronWorkflow start runs."""
    built = WorkflowTemplate(name=spec.name, **_Templates(spec, installation).workflow_fields())
    return _manifest(built)


def workflow(spec: ExperimentSpec, installation: Installation) -> Manifest:
    """Return a Workflow that runs the spec once, without a WorkflowTemplate."""
    arguments = _Templates(spec, installation).workflow_fields()
    return _manifest(Workflow(generate_name=f"{spec.name}-", **arguments))


def cron_workflow(spec: ExperimentSpec, installation: Installation) -> Manifest:
    """Return the CronWorkflow of a spec with a schedule; it runs the WorkflowTemplate."""
    assert spec.schedule is not None
    experiment = Experiment(spec, installation)
    schedule = spec.schedule
    built = CronWorkflow(
        name=spec.name,
        namespace=experiment.project.namespace,
        labels=experiment.labels,
        annotations=experiment.annotations | AFTER_TEMPLATE,
        schedules=[parse_cron(schedule.cron).text],
        timezone=plain_name(schedule.timezone),
        concurrency_policy=schedule.concurrency.capitalize(),
        cron_suspend=schedule.suspended,
        starting_deadline_seconds=LATEST_START_SECONDS,
        successful_jobs_history_limit=3,
        failed_jobs_history_limit=3,
        workflow_template_ref=models.WorkflowTemplateRef(name=spec.name),
    )
    return _manifest(built)


def _manifest(built: Workflow) -> Manifest:
    manifest: Manifest = built.to_dict()
    return manifest


class _Templates:
    """Templates and other fields shared by a WorkflowTemplate and a Workflow."""

    def __init__(self, spec: ExperimentSpec, installation: Installation) -> None:
        self.experiment = Experiment(spec, installation)

    def workflow_fields(self) -> dict[str, Any]:
        """Return the fields of Hera's WorkflowTemplate and Workflow."""
        execution = self.experiment.spec.execution
        return {
            "namespace": self.experiment.project.namespace,
            "labels": self.experiment.labels,
            "annotations": self.experiment.annotations,
            "entrypoint": "experiment",
            "parallelism": MAX_PODS,  # an upper limit; split lists fewer shards
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
                labels=self.experiment.labels,
                annotations=self.experiment.annotations,
                labels_from={
                    "refeed/trainer": models.LabelValueFrom(expression=expressions.TRAINER)
                },
            ),
            "synchronization": self._synchronization(),
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
        for field in form_of(self.experiment.spec, self.experiment.installation):
            yield Parameter(
                name=field.name,
                value=field.value,
                description=field.description,
                enum=list(field.choices) or None,
            )

    def _synchronization(self) -> models.Synchronization | None:
        """Return a mutex for ``forbid``, since manual submits ignore concurrencyPolicy (#9087)."""
        if (
            not self.experiment.spec.schedule
            or self.experiment.spec.schedule.concurrency != "forbid"
        ):
            return None
        return models.Synchronization(mutexes=[models.Mutex(name=self.experiment.spec.name)])

    def _metric_labels(self, **more: str) -> list[Label]:
        names = {
            "project": self.experiment.spec.project,
            "experiment": self.experiment.spec.name,
            **more,
        }
        return [Label(key=key, value=value) for key, value in names.items()]

    def _classes(self, smallest: str) -> tuple[ResourceClass, ...]:
        return self.experiment.installation.classes_from(smallest)

    @property
    def _training_names(self) -> list[str]:
        return [each.name for each in self.experiment.training_classes]

    # --- templates --------------------------------------------------------------------------

    def _templates(self) -> Iterator[Any]:
        check, split, collect = self._check(), self._split(), self._collect()
        trainers = [self._train(name) for name in self._training_names]
        notify = self.experiment.installation.notify
        when = expressions.failed_or_late(notify.late_seconds if notify else None)
        with DAG(name="exit") as exit_handler:
            exit_handler.tasks = [Task(name="finish", template="finish", when=when)]
        base = [self._base()] if self._has_base else []
        yield from (self._dag(), check, split, *base, *trainers, collect, exit_handler)
        yield self._finish()

    @property
    def _has_base(self) -> bool:
        return self.experiment.spec.base.mode != "none"

    def _dag(self) -> DAG:
        run = {"run": "{{tasks.check.outputs.parameters.run}}"}
        image = {"trainer-image": "{{tasks.check.outputs.parameters.trainer-image}}"}
        train_tasks = [
            Task(
                name=f"train-{name}",
                template=f"train-{name}",
                depends=expressions.base_has_ended() if self._has_base else "split.Succeeded",
                with_param=f"{{{{tasks.split.outputs.parameters.{shards_output(name)}}}}}",
                arguments=run | image | {"shard": "{{item}}"},
            )
            for name in self._training_names
        ]
        after = expressions.after_all(fan.name for fan in train_tasks)
        with DAG(name="experiment", fail_fast=False) as dag:
            dag.tasks = [
                Task(name="check", template="check"),
                Task(name="split", template="split", depends="check.Succeeded", arguments=run),
                *([self._base_task(run | image)] if self._has_base else []),
                *train_tasks,
                Task(name="collect", template="collect", depends=after, arguments=run),
            ]
        return dag

    def _base_task(self, arguments: dict[str, str]) -> Task:
        return Task(
            name="base",
            template="base",
            depends="split.Succeeded",
            when=expressions.needs_base(),
            arguments=arguments,
        )

    def _base(self) -> Container:
        """Return the base template, which runs in the image of the trainer."""
        return self._container(
            "base",
            image="{{inputs.parameters.trainer-image}}",
            account="refeed-train",
            classes=self._classes(self.experiment.installation.steps.of_base),
            inputs=[Parameter(name=name) for name in ("run", "trainer-image")],
        )

    def _check(self) -> Container:
        """Return the check template, which runs in the image of the form's trainer."""
        return self._container(
            "check",
            image=self.experiment.chosen_image,
            account="refeed-train",
            classes=self._classes(self.experiment.installation.steps.check)[:1],
            variables=[
                Env(
                    name=env.SPEC,
                    value=env.plain(canonical_json(self.experiment.spec.model_dump(mode="json"))),
                ),
                _parameters(),
            ],
            outputs=[_output("run"), _output("trainer-image")],
            run="",
        )

    def _split(self) -> Container:
        return self._container(
            "split",
            image=self.experiment.split_image,
            account="refeed-split",
            classes=self._classes(self.experiment.installation.steps.split),
            inputs=[Parameter(name="run")],
            outputs=[
                *(_output(shards_output(name)) for name in self._training_names),
                *([_output(BASE_OUTPUT)] if self._has_base else []),
            ],
        )

    def _train(self, resource_class: str) -> Container:
        return self._container(
            "train",
            name=f"train-{resource_class}",
            image="{{inputs.parameters.trainer-image}}",
            account="refeed-train",
            classes=self.experiment.training_classes[self._training_names.index(resource_class) :],
            inputs=[Parameter(name=name) for name in ("run", "trainer-image", "shard")],
            resource_class=resource_class,
            shard="{{inputs.parameters.shard}}",
        )

    def _collect(self) -> Container:
        counts = [*STATUSES, *(f"pods-{cause}" for cause in CAUSES)]
        address = self.experiment.address("{{inputs.parameters.run}}")
        bucket, _, key = address.run_layout.report.removeprefix("gs://").partition("/")
        report = GCSArtifact(
            name="report",
            path=output(REPORT),
            bucket=bucket,
            key=key,
            archive=NoneArchiveStrategy(),  # Argo's UI does not show an archive
        )
        return self._container(
            "collect",
            image=self.experiment.installation.images.collect,
            account="refeed-collect",
            classes=self._classes(self.experiment.installation.steps.collect),
            inputs=[Parameter(name="run")],
            outputs=[report, *(_output(name) for name in counts)],
            metrics=list(self._metrics()),
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
        notify = self.experiment.installation.notify
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
            image=self.experiment.installation.images.collect,
            account="refeed-collect",
            classes=self._classes(self.experiment.installation.steps.collect)[:1],
            variables=[
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
        step: Step,
        *,
        image: str,
        account: str,
        classes: Sequence[ResourceClass],
        name: str = "",
        variables: Sequence[Any] = (),
        inputs: Sequence[Parameter] = (),
        outputs: Sequence[Any] = (),
        metrics: Sequence[Any] = (),
        run: str = "{{inputs.parameters.run}}",
        **options: str,
    ) -> Container:
        """Return a template that runs one step in one pod."""
        smallest = classes[0]
        return Container(
            name=name or step,
            image=image,
            image_pull_policy="IfNotPresent",
            command=step_command(step, self.experiment.address(run), **options),
            env=[*self._environment(smallest, len(classes) - 1), *variables],
            inputs=list(inputs),
            outputs=list(outputs),
            metrics=list(metrics) or None,
            labels={"refeed/step": step, "refeed/class": smallest.name},
            service_account_name=account,
            node_selector=smallest.node_selector or None,
            tolerations=[models.Toleration(**each.manifest()) for each in smallest.tolerations]
            or None,
            resources=Resources(
                cpu_request=smallest.cpu,
                cpu_limit=smallest.cpu,
                memory_request=smallest.memory,
                memory_limit=smallest.memory,
                ephemeral_request=smallest.ephemeral_storage,
                ephemeral_limit=smallest.ephemeral_storage,
                custom_resources=smallest.other_amounts,
            ),
            active_deadline_seconds=SHORT_STEP_SECONDS if step in {"check", "finish"} else None,
            pod_spec_patch=pod_patch.larger(classes) or None,
            retry_strategy=_retries(MAX_FINISH_RETRIES if step == "finish" else MAX_RETRIES),
            security_context=models.SecurityContext(
                allow_privilege_escalation=False,
                read_only_root_filesystem=True,
                capabilities=models.Capabilities(drop=["ALL"]),
            ),
            volumes=[
                EmptyDirVolume(
                    name=pod_patch.TMP,
                    mount_path="/tmp",  # noqa: S108
                    size_limit=models.Quantity(smallest.ephemeral_storage),
                )
            ],
        )

    def _environment(self, smallest: ResourceClass, largest_class_offset: int) -> Iterator[Any]:
        yield Env(name=env.WORKFLOW, value="{{workflow.name}}")
        yield Env(name=env.CREATED, value="{{workflow.creationTimestamp.RFC3339}}")
        yield FieldEnv(name=env.POD, field_path="metadata.name")
        yield Env(name=env.RESOURCE_CLASS, value=smallest.name)
        yield Env(name=env.CLASS_OFFSET, value="0")
        yield Env(name=env.LARGEST_CLASS_OFFSET, value=str(largest_class_offset))
        yield Env(name=env.LAST_MESSAGE, value="{{lastRetry.message}}")
        yield Env(name=env.LAST_STATUS, value="{{lastRetry.status}}")
        yield Env(name=env.PLATFORM, value=env.plain(self.experiment.platform.to_json()))
        for name, key in ((env.PROJECT, "project"), (env.ROOT, "root")):
            yield ConfigMapEnv(name=name, config_map_name=PROJECT_MAP, config_map_key=key)
        for name, value in sorted(self.experiment.installation.environment.items()):
            yield Env(name=name, value=value)


def _output(name: str) -> Parameter:
    return Parameter(name=name, value_from=models.ValueFrom(path=output(name)))


def _parameters() -> Env:
    return Env(name=env.PARAMETERS, value=expressions.PARAMETERS)


def _retries(limit: int) -> RetryStrategy:
    return RetryStrategy(
        limit=limit,
        retry_policy="Always",
        expression=expressions.MAY_RETRY,
        backoff=models.Backoff(duration="2s", factor=2, cap=MAX_BACKOFF),
    )
