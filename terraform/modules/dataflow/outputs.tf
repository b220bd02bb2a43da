output "place" {
  description = "The job settings for the installation file's `dataflow`: gcp_project, region, and the subnetwork in Dataflow's format."
  value = {
    gcp_project = var.gcp_project
    region      = var.region
    subnetwork  = "regions/${var.region}/subnetworks/${google_compute_subnetwork.workers.name}"
  }
}
