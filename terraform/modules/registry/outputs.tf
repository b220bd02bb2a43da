locals {
  host = "${var.region}-docker.pkg.dev/${var.gcp_project}"
}

output "prefix" {
  description = "The prefix of Refeed's image names (<prefix>/split:<tag>), for the installation file and for IMAGE_PREFIX of `make images`."
  value       = "${local.host}/${google_artifact_registry_repository.images.repository_id}"
}

output "mirrors" {
  description = "The mirror of each registry, by the registry's address without https://, for the images of kustomizations."
  value = {
    for name, mirror in google_artifact_registry_repository.mirrors :
    trimprefix(var.mirrors[name], "https://") => "${local.host}/${mirror.repository_id}"
  }
}

output "repositories" {
  description = "The names of the repositories that nodes pull from, for the identities module. The Refeed repository comes first."
  value = concat(
    [google_artifact_registry_repository.images.repository_id],
    [for mirror in google_artifact_registry_repository.mirrors : mirror.repository_id],
  )
}
