locals {
  # https://cloud.google.com/vpc/docs/configure-private-google-access#domain-options
  google_range = "199.36.153.8/30"
  google_hosts = [for i in range(4) : cidrhost(local.google_range, i)]
}

resource "google_compute_network" "this" {
  project                 = var.gcp_project
  name                    = var.name
  description             = "Refeed: nodes and Dataflow's workers, none with a public address."
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"
}

resource "google_compute_subnetwork" "nodes" {
  project                  = var.gcp_project
  region                   = var.region
  name                     = "${var.name}-nodes"
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.ranges.nodes
  private_ip_google_access = true # without a public address, the only path to Google APIs

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.ranges.pods
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.ranges.services
  }

  dynamic "log_config" {
    for_each = var.flow_log_sampling > 0 ? [var.flow_log_sampling] : []

    content {
      aggregation_interval = "INTERVAL_5_MIN"
      flow_sampling        = log_config.value
      metadata             = "INCLUDE_ALL_METADATA"
    }
  }
}
