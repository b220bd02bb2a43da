terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # The state holds no secrets, but write access to it gives control of all resources. Keep it in a separate bucket
  # with versioning. Create the bucket once (gcloud storage buckets create gs://MY-PROJECT-terraform
  # --uniform-bucket-level-access --public-access-prevention), then:
  #
  # backend "gcs" {
  #   bucket = "my-project-terraform"
  #   prefix = "refeed"
  # }
}

provider "google" {
  project = var.gcp_project
  region  = var.region

  # Charge requests to this project: the Budget API rejects requests without a quota project.
  user_project_override = true
  billing_project       = var.gcp_project

  default_labels = { app = "refeed" }
}
