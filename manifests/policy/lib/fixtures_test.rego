# METADATA
# title: Valid objects for tests
# description: Each object passes every rule. A test changes the one field that it checks.
package refeed.fixtures

# METADATA
# title: A copy with one field changed
# description: The path is a JSON pointer, in which ~1 is a slash. An existing list element is replaced.
changed(thing, path, value) := json.patch(thing, [{"op": operation(path), "path": path, "value": value}])

operation(path) := "replace" if regex.match(`/[0-9]+$`, path)

operation(path) := "add" if not regex.match(`/[0-9]+$`, path)

without(thing, path) := json.patch(thing, [{"op": "remove", "path": path}])

policy := {
	"registries": {"docker.io/refeed": "for tests"},
	"limits": {"deadline_seconds": 3600, "ttl_seconds": 7200, "parallelism": 10, "retries": 5},
	"part_of": {"refeed": "this repository"},
	"spot_labels": {"example.com/spot": "yes"},
	"resource_taints": {"example.com/gpu": "present"},
	"cluster_roles": {"refeed-analyst": "for tests"},
	"cluster_role_bindings": {"argo-binding": "for tests"},
	"regions": {"europe-west1": "for tests", "EU": "for tests"},
	"exemptions": {},
}

container := {
	"name": "main",
	"image": "docker.io/refeed/split:1.0",
	"resources": {
		"requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
		"limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
	},
	"securityContext": {
		"allowPrivilegeEscalation": false,
		"readOnlyRootFilesystem": true,
		"capabilities": {"drop": ["ALL"]},
	},
}

pod_security := {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}

labels := {"app.kubernetes.io/part-of": "refeed"}

deployment := {
	"apiVersion": "apps/v1",
	"kind": "Deployment",
	"metadata": {"name": "server", "namespace": "demo", "labels": labels},
	"spec": {"template": {"spec": {
		"serviceAccountName": "server",
		"securityContext": pod_security,
		"containers": [container],
		"volumes": [{"name": "tmp", "emptyDir": {}}],
	}}},
}

experiment := object.union(
	labels,
	{"refeed/project": "demo", "refeed/experiment": "small", "refeed/spec": "1234"},
)

# Two templates: a DAG with a fan-out, and the step that it starts.
workflow_template := {
	"apiVersion": "argoproj.io/v1alpha1",
	"kind": "WorkflowTemplate",
	"metadata": {"name": "small", "namespace": "demo", "labels": experiment},
	"spec": {
		"activeDeadlineSeconds": 3600,
		"automountServiceAccountToken": false,
		"entrypoint": "experiment",
		"executor": {"serviceAccountName": "refeed-executor"},
		"parallelism": 10,
		"podGC": {"strategy": "OnPodCompletion"},
		"securityContext": pod_security,
		"serviceAccountName": "refeed-train",
		"ttlStrategy": {"secondsAfterCompletion": 7200},
		"workflowMetadata": {"labels": experiment},
		"templates": [
			{"name": "experiment", "dag": {"tasks": [
				{"name": "split", "template": "train"},
				{"name": "fan", "template": "train", "withParam": "{{tasks.split.outputs.parameters.shards}}"},
			]}},
			step,
		],
	},
}

step := {
	"name": "train",
	"container": container,
	"metadata": {"labels": {"refeed/step": "train", "refeed/class": "small"}},
	"retryStrategy": {"limit": 5, "backoff": {"duration": "2s"}},
}

cron_workflow := {
	"apiVersion": "argoproj.io/v1alpha1",
	"kind": "CronWorkflow",
	"metadata": {"name": "small", "namespace": "demo", "labels": experiment},
	"spec": {"schedules": ["0 6 * * 1"], "workflowSpec": {"workflowTemplateRef": {"name": "small"}}},
}

namespace := {
	"apiVersion": "v1",
	"kind": "Namespace",
	"metadata": {
		"name": "demo",
		"labels": object.union(labels, {"pod-security.kubernetes.io/enforce": "restricted"}),
	},
}

role := {
	"apiVersion": "rbac.authorization.k8s.io/v1",
	"kind": "ClusterRole",
	"metadata": {"name": "refeed-analyst", "labels": labels},
	"rules": [{"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get"]}],
}

binding := {
	"apiVersion": "rbac.authorization.k8s.io/v1",
	"kind": "RoleBinding",
	"metadata": {"name": "refeed-analyst", "namespace": "demo", "labels": labels},
	"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "refeed-analyst"},
	"subjects": [{"kind": "ServiceAccount", "name": "refeed-analyst", "namespace": "demo"}],
}

cluster_binding := {
	"apiVersion": "rbac.authorization.k8s.io/v1",
	"kind": "ClusterRoleBinding",
	"metadata": {"name": "argo-binding", "labels": labels},
	"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "argo"},
	"subjects": [{"kind": "ServiceAccount", "name": "argo", "namespace": "argo"}],
}

app_project := {
	"apiVersion": "argoproj.io/v1alpha1",
	"kind": "AppProject",
	"metadata": {"name": "demo", "namespace": "argocd", "labels": labels},
	"spec": {
		"sourceRepos": ["https://git.example.com/platform.git"],
		"destinations": [{"server": "https://kubernetes.default.svc", "namespace": "demo"}],
		"namespaceResourceWhitelist": [{"group": "argoproj.io", "kind": "WorkflowTemplate"}],
	},
}

# METADATA
# title: A plan with one resource
# description: Its address is `type.it`.
plan(type, after) := {"resource_changes": [{
	"address": sprintf("%s.it", [type]),
	"mode": "managed",
	"type": type,
	"change": {"actions": ["create"], "after": after},
}]}
