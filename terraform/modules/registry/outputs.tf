locals {
  host = "${var.region}-docker.pkg.dev/${var.gcp_project}"
}

output "prefix" {
  description = "What names of Refeed's images begin with, <prefix>/split:<tag>; for the installation file, and IMAGE_PREFIX of `make images`."
  value       = "${local.host}/${google_artifact_registry_repository.images.repository_id}"
}

output "mirrors" {
  description = "What stands for each mirrored registry in an image's name, by its address without https://; for the images of kustomizations."
  value = {
    for name, mirror in google_artifact_registry_repository.mirrors :
    trimprefix(var.mirrors[name], "https://") => "${local.host}/${mirror.repository_id}"
  }
}

output "repositories" {
  description = "Names of the repositories that nodes pull from, Refeed's own first, for identities."
  value = concat(
    [google_artifact_registry_repository.images.repository_id],
    [for mirror in google_artifact_registry_repository.mirrors : mirror.repository_id],
  )
}
