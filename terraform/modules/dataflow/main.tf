locals {
  # Dataflow tags its workers and uses these ports between them.
  # https://cloud.google.com/dataflow/docs/guides/routes-firewall
  tag   = "dataflow"
  ports = ["12345-12346"]
}

resource "google_compute_subnetwork" "workers" {
  project                  = var.gcp_project
  region                   = var.region
  name                     = "${var.name}-dataflow"
  network                  = var.network
  ip_cidr_range            = var.range
  private_ip_google_access = true # workers have no public addresses

  dynamic "log_config" {
    for_each = var.flow_log_sampling > 0 ? [var.flow_log_sampling] : []

    content {
      aggregation_interval = "INTERVAL_5_MIN"
      flow_sampling        = log_config.value
      metadata             = "INCLUDE_ALL_METADATA"
    }
  }
}

resource "google_compute_firewall" "between_workers" {
  project     = var.gcp_project
  name        = "${var.name}-dataflow-workers"
  description = "Dataflow workers accept connections from each other only."
  network     = var.network
  direction   = "INGRESS"
  priority    = 1000
  source_tags = [local.tag]
  target_tags = [local.tag]

  allow {
    protocol = "tcp"
    ports    = local.ports
  }
}

resource "google_compute_firewall" "to_google_and_workers" {
  project            = var.gcp_project
  name               = "${var.name}-dataflow-out"
  description        = "Dataflow workers can reach Google APIs and each other."
  network            = var.network
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [var.google_range, var.range]
  target_tags        = [local.tag]

  allow {
    protocol = "tcp"
    ports    = concat(["443"], local.ports)
  }
}

resource "google_compute_firewall" "closed" {
  project            = var.gcp_project
  name               = "${var.name}-dataflow-closed"
  description        = "Dataflow workers can reach nothing else, so they cannot exfiltrate data."
  network            = var.network
  direction          = "EGRESS"
  priority           = 2000
  destination_ranges = ["0.0.0.0/0"]
  target_tags        = [local.tag]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}
