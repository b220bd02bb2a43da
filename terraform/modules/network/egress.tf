# Egress rules. The VPC's implied rule allows all egress, so closed nodes have a deny rule with higher precedence.

resource "google_compute_firewall" "closed" {
  project            = var.gcp_project
  name               = "${var.name}-closed"
  description        = "Denies all egress from closed nodes that no rule with a lower number allows."
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 2000
  destination_ranges = ["0.0.0.0/0"]
  target_tags        = [var.closed_tag]

  deny {
    protocol = "all"
  }

  log_config { # a trainer that tries to connect to the Internet needs attention
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "closed_to_google" {
  project            = var.gcp_project
  name               = "${var.name}-closed-to-google"
  description        = "Allows Google APIs, at the addresses that this network resolves their names to."
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [local.google_range]
  target_tags        = [var.closed_tag]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}

resource "google_compute_firewall" "closed_to_cluster" {
  project            = var.gcp_project
  name               = "${var.name}-closed-to-cluster"
  description        = "Allows nodes, pods, services and the control plane, whose address is in the nodes' range."
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [var.ranges.nodes, var.ranges.pods, var.ranges.services]
  target_tags        = [var.closed_tag]

  allow {
    protocol = "all"
  }
}

resource "google_compute_router" "this" {
  count = var.internet ? 1 : 0

  project = var.gcp_project
  region  = var.region
  name    = var.name
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  count = var.internet ? 1 : 0

  project                            = var.gcp_project
  region                             = var.region
  name                               = var.name
  router                             = google_compute_router.this[0].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS" # excludes the Dataflow workers

  subnetwork {
    name                    = google_compute_subnetwork.nodes.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}
