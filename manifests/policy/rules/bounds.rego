# METADATA
# title: Nothing grows without a bound
# description: How many pods at once, how often again, and what a patch may turn a pod into.
package refeed.rules.bounds

import data.refeed.lib.objects
import data.refeed.lib.pods
import data.refeed.lib.refusals
import data.refeed.lib.workflows

# METADATA
# title: fan-out-bounded
# description: How long a list is that a step writes, only the run knows.
refuse contains refusals.refusal("fan-out-bounded", workflow.object, field, says) if {
	some [workflow, path, task] in workflows.tasks
	some fan in ["withParam", "withSequence"]
	task[fan]
	most := data.policy.limits.parallelism
	not bounded(workflow.spec, path, most)
	field := sprintf("%s.%s", [path, fan])
	says := sprintf("may start any number of pods at once: set %s.parallelism, or the template's, from 1 to %d", [workflow.path, most])
}

# METADATA
# title: retries-bounded
# description: Argo without a limit tries for ever.
refuse contains refusals.refusal("retries-bounded", found.workflow.object, field, says) if {
	some found in workflows.templates
	found.template.retryStrategy
	most := data.policy.limits.retries
	not few(object.get(found.template, ["retryStrategy", "limit"], "none"), most)
	field := sprintf("%s.retryStrategy.limit", [found.path])
	says := sprintf("is not from 0 to %d: without a limit Argo tries for ever; set it", [most])
}

# METADATA
# title: retries-wait
# description: Hundreds of pods that come back at once keep down what is down.
refuse contains refusals.refusal("retries-wait", found.workflow.object, field, says) if {
	some found in workflows.templates
	found.template.retryStrategy
	not found.template.retryStrategy.backoff.duration
	field := sprintf("%s.retryStrategy.backoff.duration", [found.path])
	says := "is missing: pods would come back at once, all together; set it, with a factor and a cap"
}

# METADATA
# title: patch-known
# description: What a patch does is known before the run.
refuse contains refusals.refusal("patch-known", patch.pod.object, patch.path, says) if {
	some patch in pods.unreadable
	says := "cannot be read as a patch of a pod: write JSON, or an expression that chooses among such (x == 'a' ? '{}' : '{}')"
}

# METADATA
# title: patch-narrow
# description: A patch comes after all other fields, so it could undo what the other rules ask for.
refuse contains refusals.refusal("patch-narrow", reading.pod.object, reading.path, says) if {
	some reading in pods.readings
	some field in (patched(reading.patch) - may_patch)
	says := sprintf("changes %s: a patch may change %v; set the others in the template", [field, may_patch])
}

may_patch := {
	"containers.env",
	"containers.name",
	"containers.resources",
	"nodeSelector",
	"tolerations",
}

patched(patch) := (object.keys(patch) - {"containers"}) | inner if {
	inner := {sprintf("containers.%s", [key]) | some container in patch.containers; some key, _ in container}
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
