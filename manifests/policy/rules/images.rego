# METADATA
# title: Images
# description: Containers run reviewed images from the installation's registries.
package refeed.rules.images

import data.refeed.lib.pods
import data.refeed.lib.texts
import data.refeed.lib.violations

# METADATA
# title: image-known
# description: The possible images must be known before the run.
deny contains violations.violation("image-known", own.pod.object, field, message) if {
	some own in pods.containers
	not known(own.container)
	field := sprintf("%s.image", [own.path])
	message := concat("", [
		"is not known before the run. Write the image, a conditional between images ",
		"(x == 'a' ? 'image' : 'image'), or a parameter together with REFEED_PLATFORM, which lists the trainers' images.",
	])
}

# METADATA
# title: image-pinned
# description: A different image under the same name would change the results.
deny contains violations.violation("image-pinned", found.object, found.field, message) if {
	some found in images
	not pinned(found.image)
	message := sprintf("is %q, which can change between runs. Set a tag other than latest, or a digest.", [found.image])
}

# METADATA
# title: image-registry
# description: Images from other registries were not built and scanned for this platform.
deny contains violations.violation("image-registry", found.object, found.field, message) if {
	some found in images
	not allowed(repository(found.image))
	message := sprintf(
		"is %q, but this installation allows images from %v only. Push the image there, or add its registry to the data (--data).",
		[found.image, sort(registries)],
	)
}

images contains {"object": own.pod.object, "field": sprintf("%s.image", [own.path]), "image": image} if {
	some own in pods.containers
	some image in texts.outcomes(own.container.image)
}

images contains {"object": own.pod.object, "field": field, "image": image} if {
	some own in pods.containers
	some name, image in listed(own.container)
	field := sprintf("%s.env[REFEED_PLATFORM].%s", [own.path, name])
}

known(container) if texts.outcomes(container.image)

known(container) if {
	regex.match(`^\{\{inputs\.parameters\.[a-z-]+\}\}$`, container.image)
	count(listed(container)) > 0
}

# The images that a run may select. The check step rejects all others.
listed(container) := object.union(trainers, worker) if {
	some variable in container.env
	variable.name == "REFEED_PLATFORM"
	platform := json.unmarshal(variable.value)
	trainers := {sprintf("trainers.%s", [name]): image | some name, image in platform.trainers}
	worker := {"dataflow.worker_image": image | image := platform.dataflow.worker_image}
}

pinned(image) if regex.match(`@sha256:[0-9a-f]{64}$`, image)

pinned(image) if {
	regex.match(`^[^@]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$`, last(image))
	not endswith(image, ":latest")
}

# Only after the last slash does a colon start a tag; before it, a colon starts a port.
last(image) := regex.replace(image, `^.*/`, "")

repository(image) := regex.replace(image, `:[^/]*$`, "") if not contains(image, "@")

repository(image) := regex.replace(split(image, "@")[0], `:[^/]*$`, "") if contains(image, "@")

allowed(repository) if repository in registries

allowed(repository) if {
	some registry in registries
	startswith(repository, sprintf("%s/", [registry]))
}

# METADATA
# title: Allowed registries
# description: Registries or single repositories, from the data and from an installation file passed as data.
registries contains registry if some registry, _ in data.policy.registries

registries contains parent(image) if some image in data.images

registries contains parent(trainer.image) if some trainer in data.trainers

parent(image) := regex.replace(repository(image), `/[^/]*$`, "")
