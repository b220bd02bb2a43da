# METADATA
# title: Images
# description: What runs is what was reviewed, and comes from where the installation says.
package refeed.rules.images

import data.refeed.lib.pods
import data.refeed.lib.refusals
import data.refeed.lib.texts

# METADATA
# title: image-known
# description: Which images may run is known before the run.
refuse contains refusals.refusal("image-known", own.pod.object, field, says) if {
	some own in pods.containers
	not known(own.container)
	field := sprintf("%s.image", [own.path])
	says := concat("", [
		"cannot be told before the run: write the image, an expression that chooses among images ",
		"(x == 'a' ? 'image' : 'image'), or a parameter beside REFEED_PLATFORM, which lists the trainers' images",
	])
}

# METADATA
# title: image-pinned
# description: Another image under the same name would change what runs, and with it the results.
refuse contains refusals.refusal("image-pinned", found.object, found.field, says) if {
	some found in images
	not pinned(found.image)
	says := sprintf("is %q: it may be another one tomorrow; give it a tag (not latest) or a digest", [found.image])
}

# METADATA
# title: image-registry
# description: What comes from elsewhere was neither built nor scanned by whoever runs the platform.
refuse contains refusals.refusal("image-registry", found.object, found.field, says) if {
	some found in images
	not allowed(repository(found.image))
	says := sprintf(
		"is %q: only %v hold images of this installation; push it there, or name its place in data (--data)",
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

# The images among which a run may choose; the check step takes no other.
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

# Only there a colon begins a tag; before, it begins a port.
last(image) := regex.replace(image, `^.*/`, "")

repository(image) := regex.replace(image, `:[^/]*$`, "") if not contains(image, "@")

repository(image) := regex.replace(split(image, "@")[0], `:[^/]*$`, "") if contains(image, "@")

allowed(repository) if repository in registries

allowed(repository) if {
	some registry in registries
	startswith(repository, sprintf("%s/", [registry]))
}

# METADATA
# title: Where images may come from
# description: Registries, or one repository in them; of the data, and of an installation file given as data.
registries contains registry if some registry, _ in data.policy.registries

registries contains parent(image) if some image in data.images

registries contains parent(trainer.image) if some trainer in data.trainers

parent(image) := regex.replace(repository(image), `/[^/]*$`, "")
