output "place" {
  description = "Where jobs run, for the installation file's `dataflow`: gcp_project, region, and the subnetwork as Dataflow wants it."
  value = {
    gcp_project = var.gcp_project
    region      = var.region
    subnetwork  = "regions/${var.region}/subnetworks/${google_compute_subnetwork.workers.name}"
  }
}
