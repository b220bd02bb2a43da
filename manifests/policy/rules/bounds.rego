# METADATA
# title: Limits
# description: Limits the number of pods and retries, and the fields that a patch may change.
package refeed.rules.bounds

import data.refeed.lib.objects
import data.refeed.lib.pods
import data.refeed.lib.violations
import data.refeed.lib.workflows

# METADATA
# title: fan-out-bounded
# description: The length of a list that a step writes is known only at run time.
deny contains violations.violation("fan-out-bounded", workflow.object, field, message) if {
	some [workflow, path, task] in workflows.tasks
	some fan in ["withParam", "withSequence"]
	task[fan]
	most := data.policy.limits.parallelism
	not bounded(workflow.spec, path, most)
	field := sprintf("%s.%s", [path, fan])
	message := sprintf("can start any number of pods at once. Set %s.parallelism, or the template's, from 1 to %d.", [workflow.path, most])
}

# METADATA
# title: retries-bounded
# description: Without a limit, Argo retries forever.
deny contains violations.violation("retries-bounded", found.workflow.object, field, message) if {
	some found in workflows.templates
	found.template.retryStrategy
	most := data.policy.limits.retries
	not few(object.get(found.template, ["retryStrategy", "limit"], "none"), most)
	field := sprintf("%s.retryStrategy.limit", [found.path])
	message := sprintf("is not from 0 to %d. Without a limit, Argo retries forever. Set it.", [most])
}

# METADATA
# title: retries-wait
# description: Hundreds of immediate retries overload a service that is failing.
deny contains violations.violation("retries-wait", found.workflow.object, field, message) if {
	some found in workflows.templates
	found.template.retryStrategy
	not found.template.retryStrategy.backoff.duration
	field := sprintf("%s.retryStrategy.backoff.duration", [found.path])
	message := "is missing, so all pods would retry at once. Set it, with a factor and a cap."
}

# METADATA
# title: patch-known
# description: The effect of a patch must be known before the run.
deny contains violations.violation("patch-known", patch.pod.object, patch.path, message) if {
	some patch in pods.unreadable
	message := "is not a pod patch that is known before the run. Write JSON, or a conditional between JSON literals (x == 'a' ? '{}' : '{}')."
}

# METADATA
# title: patch-narrow
# description: Argo applies patches last, so a patch could undo what the other rules require.
deny contains violations.violation("patch-narrow", reading.pod.object, reading.path, message) if {
	some reading in pods.readings
	some field in (patched(reading.patch) - may_patch)
	message := sprintf("changes %s, but a patch may change only %v. Set other fields in the template.", [field, may_patch])
}

may_patch := {
	"containers.env",
	"containers.name",
	"containers.resources",
	"nodeSelector",
	"tolerations",
	"volumes.emptyDir.sizeLimit",
	"volumes.name",
}

patched(patch) := ((object.keys(patch) - {"containers", "volumes"}) | containers) | (volumes | sizes) if {
	containers := {sprintf("containers.%s", [key]) | some container in patch.containers; some key, _ in container}
	volumes := {sprintf("volumes.%s", [key]) | some volume in patch.volumes; some key, _ in volume; key != "emptyDir"}
	sizes := {sprintf("volumes.emptyDir.%s", [key]) | some volume in patch.volumes; some key, _ in volume.emptyDir}
}

bounded(spec, _, most) if few_at_once(spec.parallelism, most)

bounded(spec, path, most) if {
	some index, template in spec.templates
	own := objects.element("templates", index, template)
	contains(path, sprintf(".%s.", [own]))
	few_at_once(template.parallelism, most)
}

few_at_once(value, most) if {
	value > 0
	few(value, most)
}

few(value, most) if {
	number := to_number(value)
	number >= 0
	number <= most
}
